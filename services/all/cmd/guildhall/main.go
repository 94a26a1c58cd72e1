// Command guildhall is the suite in one program: `guildhall serve` runs all of
// it in one process, `guildhall serve -target=permission,gateway` some of it.
package main

import (
	"guildhall.dev/pkg/serve"
	"guildhall.dev/services/all"
)

func main() { serve.Main("guildhall", all.Builders()...) }
