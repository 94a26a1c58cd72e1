// Command permission runs the permission service in a process of its own.
package main

import (
	"guildhall.dev/pkg/serve"
	"guildhall.dev/services/permission"
)

func main() { serve.Main("guildhall-permission", permission.Builder()) }
