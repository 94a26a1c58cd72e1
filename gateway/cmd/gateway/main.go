// Command gateway serves the HTTP edge alone. The services it leads to run
// elsewhere, at the addresses of process.services.
package main

import (
	"guildhall.dev/gateway"
	"guildhall.dev/pkg/serve"
)

func main() { serve.Main("guildhall-gateway", gateway.Builder()) }
