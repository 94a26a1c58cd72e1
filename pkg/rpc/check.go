package rpc

import (
	"errors"
	"slices"

	"google.golang.org/grpc"

	"guildhall.dev/pkg/authz"
)

// CheckRegistered returns nil when every RPC registered with the server has a
// valid authorization option, and else an error that names each one at fault.
// A process calls it before it serves: default deny means not to start. gRPC's
// own health and reflection services are exempt.
func CheckRegistered(server interface {
	GetServiceInfo() map[string]grpc.ServiceInfo
}) error {
	return checkRegistered(server.GetServiceInfo(), authz.LoadRules(nil))
}

func checkRegistered(services map[string]grpc.ServiceInfo, rules *authz.Rules) error {
	var faults []error
	for name, info := range services {
		for _, m := range info.Methods {
			if err := rules.Err("/" + name + "/" + m.Name); err != nil {
				faults = append(faults, err)
			}
		}
	}
	slices.SortFunc(faults, func(a, b error) int {
		if a.Error() < b.Error() {
			return -1
		}
		return 1
	})
	return errors.Join(faults...)
}
