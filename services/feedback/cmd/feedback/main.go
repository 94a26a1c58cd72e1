// Command feedback runs service feedback alone.
package main

import (
	"guildhall.dev/pkg/serve"
	"guildhall.dev/services/feedback"
)

func main() { serve.Main("guildhall-feedback", feedback.Builder()) }
