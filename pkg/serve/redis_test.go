package serve

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"guildhall.dev/pkg/conf"
	"guildhall.dev/pkg/errs"
)

func TestRedis_kindOfClient(t *testing.T) {
	for name, c := range map[string]struct {
		cfg  conf.Redis
		want string
	}{
		"none":     {conf.Redis{}, "<nil>"},
		"single":   {conf.Redis{URL: []string{"redis://127.0.0.1:1"}}, "*redis.Client"},
		"cluster":  {conf.Redis{URL: []string{"redis://127.0.0.1:1"}, Cluster: true}, "*redis.ClusterClient"},
		"sentinel": {conf.Redis{URL: []string{"redis://127.0.0.1:1"}, SentinelMaster: "m"}, "*redis.Client"},
	} {
		pool := &redisPool{}
		client, err := pool.open(c.cfg)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := typeOf(client); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
		if again, err := pool.open(c.cfg); err != nil || again != client {
			t.Errorf("%s: the same configuration has two clients", name)
		}
		if err := pool.close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func typeOf(client redis.UniversalClient) string {
	switch client.(type) {
	case nil:
		return "<nil>"
	case *redis.Client:
		return "*redis.Client"
	case *redis.ClusterClient:
		return "*redis.ClusterClient"
	}
	return "another"
}

func TestRedisOptions_readSecretsAndTLS(t *testing.T) {
	ca, folder := newAuthority(t), t.TempDir()
	certFile, keyFile := ca.issue(folder, "redis client")
	caFile, password := filepath.Join(folder, "ca.crt"), filepath.Join(folder, "password")
	put(t, caFile, ca.pem)
	put(t, password, []byte("first\n"))
	options, err := redisOptions(conf.Redis{
		URL: []string{"rediss://app:unused@h:7/2"}, PasswordFile: password, SentinelMaster: "m", SentinelPasswordFile: password,
		CAFile: caFile, CertFile: certFile, KeyFile: keyFile, Timeout: time.Second, PoolSize: 3,
	})
	if err != nil {
		t.Fatal(err)
	}
	put(t, password, []byte("second\n"))
	user, secret, err := options.CredentialsProviderContext(t.Context())
	if err != nil || user != "app" || secret != "second" {
		t.Errorf("credentials are %s, %s, %v", user, secret, err)
	}
	if options.SentinelPassword != "first" || options.DB != 2 || options.PoolSize != 3 || options.ReadTimeout != time.Second {
		t.Errorf("options are %+v", options)
	}
	if options.TLSConfig == nil || options.TLSConfig.RootCAs == nil || len(options.TLSConfig.Certificates) != 1 {
		t.Error("TLS is not set up")
	}
	if _, err := redisOptions(conf.Redis{URL: []string{"redis://h"}, PasswordFile: filepath.Join(folder, "none")}); !errs.Is(err, errs.Precondition) {
		t.Errorf("a missing file: %v", err)
	}
}
