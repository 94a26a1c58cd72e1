package gateway

import (
	"net/netip"
	"net/url"
	"time"

	"guildhall.dev/gateway/internal/authzen"
	"guildhall.dev/pkg/conf"
)

// Config is the section "gateway". Make one with DefaultConfig; the zero
// Config is the same, with fields that are not set at their defaults.
type Config struct {
	BodySize       conf.Size      `yaml:"body_size" min:"1KiB" max:"64MiB" doc:"Largest JSON body of a request."`
	ImportSize     conf.Size      `yaml:"import_size" min:"1KiB" doc:"Largest body of customers:import and orders:import."`
	BodyTimeout    time.Duration  `yaml:"body_timeout" min:"1s" doc:"Time a client has to send a JSON body, and the longest pause while it sends a file or reads a stream."`
	Timeout        time.Duration  `yaml:"timeout" min:"1s" doc:"Time a request has when its client does not say (X-Request-Timeout)."`
	MaxTimeout     time.Duration  `yaml:"max_timeout" min:"1s" doc:"Most time a client can ask for. The services' own process.limits.max_deadline applies too."`
	Heartbeat      time.Duration  `yaml:"heartbeat" min:"1s" doc:"Longest silence on a stream before a comment is sent, so that proxies keep it open. Keep it below their idle timeouts."`
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies" doc:"Networks of your own proxies, as in 10.0.0.0/8. Only their X-Forwarded-For is believed."`
	CORS           CORS           `yaml:"cors" doc:"Browser apps of other origins that may call the API."`
	AuthZEN        AuthZEN        `yaml:"authzen" doc:"The OpenID AuthZEN API below /access/v1."`
}

// AuthZEN is what enforcement points of others may call things.
type AuthZEN struct {
	RequestWithin time.Duration     `yaml:"request_within" min:"1s" max:"24h" doc:"How long after a denial access can be asked for with it."`
	TaskLifetime  time.Duration     `yaml:"task_lifetime" min:"1s" doc:"How long the handle of an access request is good. The change request behind it stays."`
	SubjectTypes  map[string]string `yaml:"subject_types" doc:"Further types of subjects, and the collection of accounts that each is in: staff, customers, serviceAccounts or teams. A user is staff unless it says otherwise."`
}

// CORS is who may call from a browser.
type CORS struct {
	Origins []string      `yaml:"origins" doc:"Origins, as in https://app.example; * is every one. Empty is none."`
	MaxAge  time.Duration `yaml:"max_age" doc:"How long browsers remember the answer to a preflight."`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	var cfg Config
	cfg.setDefaults()
	return cfg
}

func (cfg *Config) setDefaults() {
	setDefault(&cfg.BodySize, conf.MiB)
	setDefault(&cfg.ImportSize, conf.GiB)
	setDefault(&cfg.BodyTimeout, 30*time.Second)
	setDefault(&cfg.Timeout, 15*time.Second)
	setDefault(&cfg.MaxTimeout, time.Minute)
	setDefault(&cfg.Heartbeat, 15*time.Second)
	setDefault(&cfg.CORS.MaxAge, 10*time.Minute)
	setDefault(&cfg.AuthZEN.RequestWithin, 15*time.Minute)
	setDefault(&cfg.AuthZEN.TaskLifetime, 30*24*time.Hour)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Check wants a default within the bounds.
func (cfg Config) Check(r *conf.Report) {
	if cfg.Timeout > cfg.MaxTimeout {
		r.Fault("timeout", "must not be longer than max_timeout")
	}
}

// Check wants origins as browsers send them.
func (c CORS) Check(r *conf.Report) {
	for _, origin := range c.Origins {
		if origin == "*" {
			continue
		}
		u, err := url.Parse(origin)
		if err != nil || u.Scheme == "" || u.Host == "" || u.Scheme+"://"+u.Host != origin {
			r.Fault("origins", "must be origins as in https://app.example, without a path")
		}
	}
}

// Check wants collections that hold accounts.
func (a AuthZEN) Check(r *conf.Report) {
	for _, collection := range a.SubjectTypes {
		if !authzen.IsSubjectCollection(collection) {
			r.Fault("subject_types", "must name staff, customers, serviceAccounts or teams")
			return
		}
	}
}
