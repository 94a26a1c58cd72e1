// Command guildhall is the suite in one program: `guildhall serve` runs all of
// it in one process, `guildhall serve -target=permission,gateway` some of it,
// `guildhall bench` measures it, and `guildhall authz` keeps policies as code.
package main

import (
	"guildhall.dev/pkg/serve"
	"guildhall.dev/services/all"
	"guildhall.dev/services/all/authz"
	"guildhall.dev/services/all/bench"
)

func main() { serve.Main("guildhall", append(all.Builders(), bench.Builder(), authz.Builder())...) }
