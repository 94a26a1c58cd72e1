// Command groupchat runs service groupchat alone.
package main

import (
	"guildhall.dev/pkg/serve"
	"guildhall.dev/services/groupchat"
)

func main() { serve.Main("guildhall-groupchat", groupchat.Builder()) }
