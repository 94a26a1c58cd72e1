package role

import (
	"encoding/binary"

	"google.golang.org/protobuf/proto"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// The first byte of a position says which part of the list it is in.
const (
	inBuiltIns = 1 // then the number of built-in roles that are past
	inCustom   = 2 // then the position in the table
)

// List returns one page of the roles that can be granted in an organisation:
// the built-in ones by name, then the custom ones by name. next is where to go
// on, nil at the end.
func (s *Roles) List(r kv.Reader, organization string, after []byte, limit int) (roles []*permissionv1.Role, next []byte, err error) {
	var inTable []byte
	if len(after) == 0 || after[0] == inBuiltIns {
		past, err := builtInsPast(after)
		if err != nil {
			return nil, nil, err
		}
		for i := past; i < len(s.builtIns); i++ {
			if s.builtIns[i].GetName() == Self {
				continue // it cannot be granted
			}
			if len(roles) == limit {
				return roles, binary.AppendUvarint([]byte{inBuiltIns}, uint64(i)), nil
			}
			roles = append(roles, proto.CloneOf(s.builtIns[i]))
		}
	} else {
		inTable = after[1:]
	}
	return s.listCustom(r, organization, roles, inTable, limit)
}

func (s *Roles) listCustom(r kv.Reader, organization string, roles []*permissionv1.Role, after []byte, limit int) ([]*permissionv1.Role, []byte, error) {
	room := limit - len(roles)
	page, err := s.table.List(r, kv.Query{
		Prefix: kv.Key{kv.String(organization)}, After: after, Limit: max(room, 1),
	})
	if err != nil {
		return nil, nil, err
	}
	if room == 0 {
		// The page is full with built-in roles; is there anything behind?
		if len(page.Records) == 0 {
			return roles, nil, nil
		}
		return roles, binary.AppendUvarint([]byte{inBuiltIns}, uint64(len(s.builtIns))), nil
	}
	for _, rec := range page.Records {
		roles = append(roles, shown(rec))
	}
	if page.Next == nil {
		return roles, nil, nil
	}
	return roles, append([]byte{inCustom}, page.Next...), nil
}

func builtInsPast(after []byte) (int, error) {
	if len(after) == 0 {
		return 0, nil
	}
	n, size := binary.Uvarint(after[1:])
	if size <= 0 || n > 1<<20 {
		return 0, errs.InvalidField("page_token", "PAGE_TOKEN_INVALID", "send the next_page_token of the last page as it came, or none for the first page")
	}
	return int(n), nil
}
