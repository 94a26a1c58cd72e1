// Command groupchat runs service groupchat alone.
package main

import (
	"guildhall.dev/pkg/serve"
	"guildhall.dev/services/groupchat"
)

func main() { serve.Main("groupchat", groupchat.Builder()) }
