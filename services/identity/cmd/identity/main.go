// Command identity runs service identity alone. guildhall runs all services in
// one process.
package main

import (
	"guildhall.dev/pkg/serve"
	"guildhall.dev/services/identity"
)

func main() { serve.Main("guildhall-identity", identity.Builder()) }
