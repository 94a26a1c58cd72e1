// Package all puts the whole suite into one program.
//
// It is the only package that knows every service. It adds nothing to them: the
// binary of a service alone is made of the same builder, so a deployment that
// outgrows one process changes its configuration and no code.
package all

import (
	"guildhall.dev/gateway"
	"guildhall.dev/pkg/serve"
	"guildhall.dev/services/feedback"
	"guildhall.dev/services/groupchat"
	"guildhall.dev/services/identity"
	"guildhall.dev/services/permission"
)

// Builders returns new builders of all services and of the gateway. They serve
// one call of serve.Main. The order is that of building; services start to
// answer together.
func Builders() []serve.Builder {
	return []serve.Builder{
		identity.Builder(),
		permission.Builder(),
		groupchat.Builder(),
		feedback.Builder(),
		gateway.Builder(),
	}
}
