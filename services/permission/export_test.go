package permission

import "context"

// SweepCertificates tells at once, instead of within a minute, of certificates
// that are about to end or have ended.
func (s *Service) SweepCertificates(ctx context.Context) error { return s.sweeper.Once(ctx) }
