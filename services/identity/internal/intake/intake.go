// Package intake takes interactions in: it sees that the customer, the staff and the
// task that one names are there, and that a source tells of each once.
//
// It keeps nothing. Interactions are package interaction's, which knows none of the
// others, because package account removes a customer's interactions with the customer
// and so comes behind it.
package intake

import (
	"slices"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/kv"
	"guildhall.dev/pkg/resource"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/account"
	"guildhall.dev/services/identity/internal/interaction"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/revise"
	"guildhall.dev/services/identity/internal/task"
)

// Config says what a Desk needs. All of it is required.
type Config struct {
	Organizations *organization.Book
	Accounts      *account.Book
	Tasks         *task.Book
	Interactions  *interaction.Book
	// Validate holds an interaction against the rules of its fields.
	Validate func(proto.Message) error
}

// Desk takes interactions in. It is safe for concurrent use.
type Desk struct{ cfg Config }

// New returns a desk.
func New(cfg Config) *Desk { return &Desk{cfg} }

// Create writes down an interaction of a customer, or returns the one that its source
// has told of already. Errors are NotFound (CUSTOMER_NOT_FOUND,
// STAFF_MEMBER_NOT_FOUND, TASK_NOT_FOUND), Precondition (ILLEGAL_STATE,
// STAFF_MEMBER_NOT_ACTIVE), Exists (INTERACTION_CONFLICT) and those of
// interaction.Create.
func (d *Desk) Create(tx *change.Tx, customer string, asked *identityv1.Interaction, creator string) (*identityv1.Interaction, error) {
	i, created, err := d.take(tx, customer, asked, creator, false)
	if err == nil && !created {
		tx.Unchanged()
	}
	return i, err
}

// take writes an interaction down unless it is there. When it is refused, nothing was
// written.
func (d *Desk) take(tx *change.Tx, customer string, asked *identityv1.Interaction, creator string, ingested bool) (i *identityv1.Interaction, created bool, err error) {
	if err := d.cfg.Accounts.CheckChangeable(tx, customer); err != nil {
		return nil, false, err
	}
	asked = revise.Named(asked, customer+"/interactions/"+tx.NewID())
	if i, err = d.cfg.Interactions.Told(tx, asked); err != nil || i != nil {
		return i, false, err
	}
	if err := d.checkStaff(tx, asked, ingested); err != nil {
		return nil, false, err
	}
	if err := d.checkTask(tx, asked); err != nil {
		return nil, false, err
	}
	i, err = d.cfg.Interactions.Create(tx, asked, creator, ingested)
	return i, err == nil, err
}

// checkStaff refuses who cannot have had an interaction: what a source tells of later
// may be of somebody who has left.
func (d *Desk) checkStaff(r kv.Reader, i *identityv1.Interaction, ingested bool) error {
	organization := resource.Parent(customerOf(i))
	switch {
	case i.GetStaff() == "":
		return nil
	case ingested:
		return d.cfg.Accounts.CheckStaff(r, organization, i.GetStaff())
	}
	return d.cfg.Accounts.CheckActing(r, organization, i.GetStaff(), "interaction.staff", "STAFF_MEMBER_NOT_ACTIVE")
}

// checkTask refuses a task that is not about the customer as one that is not there:
// who writes an interaction down does not learn which tasks there are about others.
func (d *Desk) checkTask(r kv.Reader, i *identityv1.Interaction) error {
	name := i.GetTask()
	if name == "" {
		return nil
	}
	if err := task.Pattern.Check("interaction.task", name); err != nil {
		return err
	}
	t, err := d.cfg.Tasks.Get(r, name)
	if err == nil && t.GetCustomer() != customerOf(i) {
		err = task.NotFound(name)
	}
	return err
}

// Update changes the masked fields to those of asked, of a customer that is there and
// under no legal hold. A task that it has stays when that is deleted; another one has
// to be there. Errors are NotFound (CUSTOMER_NOT_FOUND, TASK_NOT_FOUND), Precondition
// (ILLEGAL_STATE, LEGAL_HOLD) and those of interaction.Update.
func (d *Desk) Update(tx *change.Tx, asked *identityv1.Interaction, mask *fieldmaskpb.FieldMask) (*identityv1.Interaction, error) {
	was, err := d.cfg.Interactions.Get(tx, asked.GetName())
	if err != nil {
		return nil, err
	}
	if err := d.cfg.Accounts.CheckChangeable(tx, customerOf(asked)); err != nil {
		return nil, err
	}
	if err := d.cfg.Accounts.CheckHold(tx, customerOf(asked)); err != nil {
		return nil, err
	}
	now, err := d.cfg.Interactions.Update(tx, asked, mask)
	if err != nil || now.GetTask() == was.GetTask() {
		return now, err
	}
	return now, d.checkTask(tx, now)
}

// Ingest writes down what a source tells an organisation, each item by itself; the
// audit entry is one for all of them. The error is NotFound (ORGANIZATION_NOT_FOUND).
func (d *Desk) Ingest(tx *change.Tx, organization string, items []*identityv1.IngestedInteraction, creator string) ([]*identityv1.IngestedInteractionResult, error) {
	if _, err := d.cfg.Organizations.Get(tx, organization); err != nil {
		return nil, err
	}
	changed := false
	out := make([]*identityv1.IngestedInteractionResult, len(items))
	for n, item := range items {
		i, created, err := d.ingest(tx, organization, item, creator)
		switch refusal := errs.From(err); {
		case err == nil && created:
			changed = true
			out[n] = &identityv1.IngestedInteractionResult{Result: identityv1.IngestedInteractionResult_RESULT_CREATED, Interaction: i.GetName()}
		case err == nil:
			out[n] = &identityv1.IngestedInteractionResult{Result: identityv1.IngestedInteractionResult_RESULT_UNCHANGED, Interaction: i.GetName()}
		case !slices.Contains([]errs.Kind{errs.Invalid, errs.NotFound, errs.Exists, errs.Precondition}, refusal.Kind):
			return nil, err
		default:
			out[n] = failed(refusal)
		}
	}
	if changed {
		tx.Record(change.Change{Resource: organization, ChangedFields: []string{"interactions"}})
	} else {
		tx.Unchanged()
	}
	return out, nil
}

func (d *Desk) ingest(tx *change.Tx, organization string, item *identityv1.IngestedInteraction, creator string) (*identityv1.Interaction, bool, error) {
	asked := item.GetInteraction()
	if asked == nil {
		asked = &identityv1.Interaction{}
	}
	if err := d.cfg.Validate(asked); err != nil {
		return nil, false, err
	}
	if asked.GetSource() == "" {
		return nil, false, errs.InvalidField("source", "INTERACTION_SOURCE_INVALID", "send source and external_id, by which it is known when it comes again")
	}
	customer, err := d.customer(tx, organization, item)
	if err != nil {
		return nil, false, err
	}
	return d.take(tx, customer, asked, creator, true)
}

// customer returns whose an item is.
func (d *Desk) customer(r kv.Reader, organization string, item *identityv1.IngestedInteraction) (string, error) {
	name, id := item.GetCustomer(), item.GetCustomerExternalId()
	switch {
	case (name == "") == (id == ""):
		return "", errs.InvalidField("customer", "CUSTOMER_MISSING", "send customer or customer_external_id, one of them")
	case name == "":
		return d.cfg.Accounts.Known(r, organization, id)
	case !account.CustomerPattern.Matches(name) || resource.Parent(name) != organization:
		return "", errs.InvalidField("customer", "PARENT_MISMATCH", "name a customer of the organization of the request")
	}
	return name, nil
}

func failed(refusal *errs.Error) *identityv1.IngestedInteractionResult {
	out := &identityv1.IngestedInteractionResult{
		Result: identityv1.IngestedInteractionResult_RESULT_FAILED, Reason: refusal.Reason, Message: refusal.Message,
	}
	if len(refusal.Violations) > 0 {
		out.Field = refusal.Violations[0].Field
	}
	return out
}

func customerOf(i *identityv1.Interaction) string { return resource.Parent(i.GetName()) }
