package decide

import (
	"slices"

	"guildhall.dev/services/permission/internal/role"
)

// declares reports whether the suite or the organisation declares a
// permission. A role may have one that nobody declares: the administrators'
// has whatever is declared, now and later.
func declares(facts Facts, organization string, p role.Permission) (bool, error) {
	if !p.IsCustom() {
		return true, nil
	}
	declared, err := facts.Role(role.Declared(organization))
	return declared.Has(p), err
}

// names returns the names of the permissions in the set that an organisation
// can ask about.
func (d *Rules) names(facts Facts, organization string, set role.Set) ([]string, error) {
	declared, err := facts.Role(role.Declared(organization))
	if err != nil {
		return nil, err
	}
	names := slices.Collect(d.catalogue.Names(set))
	for name := range d.catalogue.Names(declared) {
		if p, _ := d.catalogue.Lookup(name); set.Has(p) {
			names = append(names, name)
		}
	}
	return names, nil
}
