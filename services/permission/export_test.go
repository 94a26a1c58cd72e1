package permission

import "context"

// Sweep does at once, instead of within a while, what is due: it tells of
// certificates that end, and ends appointments.
func (s *Service) Sweep(ctx context.Context) error { return s.sweeper.Once(ctx) }
