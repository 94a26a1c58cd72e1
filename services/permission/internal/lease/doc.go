// Package lease lets replicas answer from memory, and lets a change wait until
// none of them does so from what the change has made untrue.
//
// A replica's lease is a row in the store. Its holder renews it and reads what
// has changed; a writer, after its commit, reads the rows and waits. Nobody
// needs a message to be right: Redis only says when it is worth to look.
//
// # The protocol
//
//	holder                                      writer
//	------                                      ------
//	                 ┌──────────┐               commit of the change, with
//	       start ──> │   away   │ <──┐          its place in the sequence
//	                 └────┬─────┘    │               │
//	                      │          │ the term      v
//	 1  begun = clock     │          │ is over    committed = clock
//	 2  put the row: beat, length,   │ (Holds)       │
//	    what memory has applied      │               v
//	 3  look: a snapshot that began  │          look: rows and head of one
//	    after 2 was acknowledged;    │          snapshot that began after the
//	    apply to memory what         │          commit was acknowledged; wait
//	    it shows                     │          for the rows in it, and for
//	 4  term = begun … begun +       │          nobody else
//	    15/16 of the length          │               │
//	                      v          │               v
//	                 ┌──────────┐    │          look again until each of them
//	             ┌─> │ holding  │ ───┘            acknowledges: applied ≥ head
//	             │   └────┬─────┘                 ran out: see below
//	             └────────┘                       is gone
//	      1 to 4 again, every                        │
//	      Renewal; at once when something            v
//	      was applied that the row               the change returns
//	      does not say yet
//
// A holder that stops takes its term back and then deletes the row. Every
// renewal is a beginning: 1 to 4 are right whether the holder held before or
// not, was frozen in between, or had its row swept.
//
// # Why no check answers from what a change has taken back
//
// Let W be a change that has returned, and let a check come in afterwards and
// find the term still running on its clock, by a read of that clock that
// follows its coming in. We show that the replica's memory has W. Let the term
// be of a renewal with begun B, row put at P, look at L: B < P < L, as each is
// acknowledged before the next begins. Snapshots show all that was
// acknowledged before they began; that is all we ask of the store.
//
// If L began after W was committed, L shows W, and it was applied before the
// term was made. So let L be older than the commit. Then P is too, so the
// writer's first look sees the row, of this renewal or a later one, and waits
// for it. It returned, so one of these holds:
//
//   - A later look saw the row acknowledge W. Whoever puts such a row has
//     applied W before it sent it.
//   - It saw no row. The holder had taken its term back before it deleted it,
//     or somebody swept it, who found what the next point asks for.
//   - It saw that the row had run out: unchanged in a look that began a full
//     length, on the watcher's clock, after the end of the look that first saw
//     it so. The term ends 15/16 of a length after B, which is before P, which
//     is before that first look's end: it was over before the last look began.
//     (Had the holder renewed meanwhile, the row would have changed. It may
//     renew right after the last look: then its own look is younger than that,
//     and shows W.)
//   - A full length has passed, on the writer's clock, since the commit was
//     acknowledged. The term began before L and so before the commit: it is
//     over. This bounds the wait whatever rows show: one length.
//
// Each contradicts the running term, or says that memory has W. A row that
// joins later than the writer's first look was put after the commit, and its
// look shows W: so a writer waits for the rows of its first look only. This is
// the old pattern of two who each raise a flag and then look for the other's:
// one at least sees the other. It needs no serializable reads, and renewals
// conflict with nobody's writes.
//
// Clocks are read, never compared: a term is measured by its holder, a wait by
// its writer. They may differ as they like and step; what is assumed is that
// the monotonic clocks of two machines do not differ in rate by more than one
// part in sixteen. A frozen process (SIGSTOP) or a long pause of the scheduler
// is no special case, since a check reads the clock after it has come in, and
// a term counts from before its renewal was sent. Where a process is frozen
// between that read and its answer, the check came in before the change
// returned, and either answer is right. A suspended machine does stop its
// monotonic clock: so a term is over also when the wall clock says so.
//
// # What else is in a row
//
// The length, so that replicas may be configured differently: a watcher takes
// the row's word. What was applied is a point for each shard of the sequence; a
// point that cannot be on the way to the head the watcher sees is of a history
// that the store has lost (see package sequence), and acknowledges nothing.
//
// It is no lock and no election: any number of replicas hold leases, and a
// lease allows reading only.
package lease
