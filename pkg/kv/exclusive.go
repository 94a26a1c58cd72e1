package kv

// Exclusive reports whether this process is the only one that can have the
// store open, so that what it keeps in memory of the store is made stale by its
// own writes alone. It is false unless the engine says otherwise: an engine has
// a method Exclusive() bool, and a store that wraps another one a method
// Unwrap() Store.
func Exclusive(s Store) bool {
	for s != nil {
		if e, ok := s.(interface{ Exclusive() bool }); ok {
			return e.Exclusive()
		}
		w, ok := s.(interface{ Unwrap() Store })
		if !ok {
			return false
		}
		s = w.Unwrap()
	}
	return false
}
