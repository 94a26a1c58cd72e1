package kv

// Reasons of the errors that engines make. Those of Open name a file or a
// host, for the operator who reads them on the terminal; those of a running
// store name none, since they may reach a client.
const (
	// ReasonUnavailable: the store cannot be reached (Unavailable).
	ReasonUnavailable = "STORE_UNAVAILABLE"
	// ReasonContention: a transaction lost every retry (Unavailable).
	ReasonContention = "STORE_CONTENTION"
	// ReasonUnknownOutcome: the connection broke during a commit, which may or
	// may not have taken effect (Unavailable).
	ReasonUnknownOutcome = "STORE_OUTCOME_UNKNOWN"
	// ReasonClosed: the store was closed by this process (Unavailable).
	ReasonClosed = "STORE_CLOSED"
	// ReasonFailed: the disk lost a write, and the store takes no more until
	// the process restarts (Unavailable).
	ReasonFailed = "STORE_FAILED"
	// ReasonReadOnly: the server takes no writes (Precondition).
	ReasonReadOnly = "STORE_READ_ONLY"
	// ReasonFull: the disk is full (Exhausted).
	ReasonFull = "STORE_FULL"
	// ReasonLocked: another process has the file open (Precondition).
	ReasonLocked = "STORE_LOCKED"
	// ReasonCorrupt: the file is damaged, or is not a store (Precondition).
	ReasonCorrupt = "STORE_CORRUPT"
	// ReasonNotWritable: this user may not write the folder, the file or the
	// schema (Precondition).
	ReasonNotWritable = "STORE_NOT_WRITABLE"
	// ReasonCredentials: the server refused the user or password (Precondition).
	ReasonCredentials = "STORE_CREDENTIALS"
	// ReasonDatabaseMissing: the server has no such database (Precondition).
	ReasonDatabaseMissing = "STORE_DATABASE_MISSING"
	// ReasonURL: the store's URL cannot be used as it is (Invalid).
	ReasonURL = "STORE_URL"
	// ReasonKeySize: a key is empty or longer than MaxKeySize (Invalid).
	ReasonKeySize = "STORE_KEY_SIZE"
	// ReasonValueSize: a value is larger than MaxValueSize (Invalid).
	ReasonValueSize = "STORE_VALUE_SIZE"
	// ReasonMisuse: an undeclared table, or a transaction used after its
	// closure returned (Internal).
	ReasonMisuse = "STORE_MISUSE"
	// ReasonCanceled: the caller's context was cancelled (Canceled).
	ReasonCanceled = "STORE_CANCELED"
	// ReasonDeadline: the caller's context ran out (DeadlineExceeded).
	ReasonDeadline = "STORE_DEADLINE"
	// ReasonNotEmpty: Restore found items in the store (Precondition).
	ReasonNotEmpty = "STORE_NOT_EMPTY"
	// ReasonSnapshot: what Restore read is no whole snapshot (Invalid).
	ReasonSnapshot = "STORE_SNAPSHOT"
)
