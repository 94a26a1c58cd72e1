package postgres

import (
	"context"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/kv/internal/engine"
	"guildhall.dev/pkg/kv/internal/overlay"
)

// What holds unless the URL says otherwise. Eight processes of this many
// connections fit into the 100 that PostgreSQL allows by default.
const (
	defaultMaxConns       = 10
	defaultConnectTimeout = 5 * time.Second
	maxCreateAttempts     = 10
)

// Open connects to rawURL and creates the schema o.Name and the tables it
// lacks. The URL takes libpq's parameters and pgxpool's (pool_max_conns,
// pool_max_conn_lifetime …).
//
// Errors are Unavailable with STORE_UNAVAILABLE, or Precondition with the
// reason STORE_CREDENTIALS, STORE_DATABASE_MISSING, STORE_READ_ONLY or
// STORE_NOT_WRITABLE; their message names host and database and says what to
// do.
func Open(ctx context.Context, rawURL string, o kv.Options) (*Store, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	metrics, err := engine.NewMetrics(o, "postgres")
	if err != nil {
		return nil, err
	}
	config, err := poolConfig(rawURL, o.Name)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, openError(ctx, config.ConnConfig, err)
	}
	s := &Store{
		pool: pool, names: o.Tables, tables: overlay.NewTables(o.Tables), metrics: metrics,
		sql: make(map[string]*statements, len(o.Tables)), lane: make(chan struct{}, 1),
	}
	for _, t := range o.Tables {
		s.sql[t] = newStatements(o.Name, t)
	}
	if err := s.prepare(ctx, o); err != nil {
		pool.Close()
		return nil, openError(ctx, config.ConnConfig, err)
	}
	return s, nil
}

func poolConfig(rawURL, name string) (*pgxpool.Config, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, badURL() // err quotes the URL, password and all
	}
	config, err := pgxpool.ParseConfig(rawURL)
	if err != nil {
		return nil, badURL()
	}
	given := u.Query()
	if !given.Has("pool_max_conns") {
		config.MaxConns = defaultMaxConns
	}
	if !given.Has("connect_timeout") {
		config.ConnConfig.ConnectTimeout = defaultConnectTimeout
	}
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "guildhall-" + name
	}
	config.AfterConnect = preferIndexes
	return config, nil
}

func badURL() error {
	return errs.New(errs.Invalid, kv.ReasonURL,
		"the store's URL cannot be used: write postgres://user:password@host:5432/database, its parameters as libpq and pgxpool name them")
}

// preferIndexes keeps the planner from reading a small table whole. It would
// be quick, but a serializable transaction that reads a whole table conflicts
// with every writer of it. CockroachDB has the setting and ignores it.
func preferIndexes(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "SET enable_seqscan = off")
	if stateOf(err) == codeUnknownSetting {
		return nil
	}
	return err
}

// prepare makes the schema and the tables. It asks first what is there, so
// that a user without the right to create can open a complete store.
func (s *Store) prepare(ctx context.Context, o kv.Options) error {
	var readOnly string
	if err := s.pool.QueryRow(ctx, "SHOW transaction_read_only").Scan(&readOnly); err != nil {
		return err
	}
	if readOnly == "on" {
		return &pgconn.PgError{Severity: "ERROR", Code: codeReadOnly, Message: "transaction_read_only is on"}
	}
	var err error
	for range maxCreateAttempts + len(o.Tables) {
		err = s.create(ctx, o)
		// Replicas that start together create together, and one loses: at worst
		// once for each table, since the one that it lost is there then.
		if state := stateOf(err); state != codeDuplicate && state != codeDuplicateTable && state != codeDuplicateObject && !isConflict(err) {
			return err
		}
	}
	return err
}

func (s *Store) create(ctx context.Context, o kv.Options) error {
	var schemas int
	if err := s.pool.QueryRow(ctx,
		"SELECT count(*) FROM pg_catalog.pg_namespace WHERE nspname = $1", o.Name).Scan(&schemas); err != nil {
		return err
	}
	if schemas == 0 {
		if _, err := s.pool.Exec(ctx, createSchema(o.Name)); err != nil {
			return err
		}
	}
	rows, err := s.pool.Query(ctx, "SELECT tablename::text FROM pg_catalog.pg_tables WHERE schemaname = $1", o.Name)
	if err != nil {
		return err
	}
	there, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	have := overlay.NewTables(there)
	for _, t := range o.Tables {
		if have[t] {
			continue
		}
		if _, err := s.pool.Exec(ctx, s.sql[t].create); err != nil {
			return err
		}
	}
	return nil
}
