package serve

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"reflect"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"guildhall.dev/pkg/conf"
)

// redisPool holds the process's Redis clients, one for each different
// configuration.
type redisPool struct {
	configs []conf.Redis
	clients []redis.UniversalClient
}

// open returns the client of a configuration, nil when it names no server. It
// does not connect.
func (p *redisPool) open(cfg conf.Redis) (redis.UniversalClient, error) {
	if !cfg.Enabled() {
		return nil, nil
	}
	for i, known := range p.configs {
		if reflect.DeepEqual(known, cfg) {
			return p.clients[i], nil
		}
	}
	options, err := redisOptions(cfg)
	if err != nil {
		return nil, err
	}
	client := redis.NewUniversalClient(options)
	p.configs, p.clients = append(p.configs, cfg), append(p.clients, client)
	return client, nil
}

// all yields the clients by the names of their checks.
func (p *redisPool) all() iter.Seq2[string, redis.UniversalClient] {
	return func(yield func(string, redis.UniversalClient) bool) {
		for i, client := range p.clients {
			name := "redis"
			if i > 0 {
				name = fmt.Sprintf("redis %d", i+1)
			}
			if !yield(name, client) {
				return
			}
		}
	}
}

func (p *redisPool) close() error {
	var err error
	for _, client := range p.clients {
		err = errors.Join(err, client.Close())
	}
	return err
}

// redisOptions turns our configuration into go-redis's. Retries are few and
// timeouts short: whoever asks Redis has a slower way that is right.
func redisOptions(cfg conf.Redis) (*redis.UniversalOptions, error) {
	target, problem := cfg.Target()
	if problem != "" {
		return nil, fmt.Errorf("redis.url %s", problem)
	}
	timeout := cfg.Timeout
	if timeout == 0 {
		timeout = conf.DefaultRedisTimeout
	}
	options := &redis.UniversalOptions{
		Addrs: target.Addresses, DB: target.DB, Username: target.Username, Password: target.Password,
		MasterName: cfg.SentinelMaster, IsClusterMode: cfg.Cluster, ClientName: "guildhall",
		DialTimeout: timeout, ReadTimeout: timeout, WriteTimeout: timeout, PoolTimeout: timeout,
		ContextTimeoutEnabled: true, MaxRetries: 1, DialerRetries: 1, PoolSize: cfg.PoolSize,
		// Only Redis Enterprise pushes these; other servers log an error for it.
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if cfg.PasswordFile != "" {
		if _, err := readSecret(cfg.PasswordFile); err != nil {
			return nil, err
		}
		options.CredentialsProviderContext = func(context.Context) (string, string, error) {
			password, err := readSecret(cfg.PasswordFile)
			return target.Username, password, err
		}
	}
	if cfg.SentinelPasswordFile != "" {
		password, err := readSecret(cfg.SentinelPasswordFile)
		if err != nil {
			return nil, err
		}
		options.SentinelPassword = password
	}
	if target.TLS {
		tlsConfig, err := clientTLS(conf.Dial{CAFile: cfg.CAFile, CertFile: cfg.CertFile, KeyFile: cfg.KeyFile})
		if err != nil {
			return nil, err
		}
		options.TLSConfig = tlsConfig
	}
	return options, nil
}

// readSecret reads a one-line file.
func readSecret(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fileError(path, err)
	}
	return strings.TrimSpace(string(text)), nil
}

// redisLog is where the Redis client writes. It speaks of every failed
// connection, on every try; readiness tells the same once.
type redisLog struct{ logger *slog.Logger }

func (l redisLog) Printf(ctx context.Context, format string, args ...any) {
	l.logger.DebugContext(ctx, "redis client", "text", fmt.Sprintf(format, args...))
}
