package messages

import (
	"context"

	"guildhall.dev/pkg/change"
	"guildhall.dev/pkg/kv"
	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
	"guildhall.dev/services/identity/internal/api"
	"guildhall.dev/services/identity/internal/message"
	"guildhall.dev/services/identity/internal/organization"
	"guildhall.dev/services/identity/internal/revise"
)

// templates implements MessageTemplateService.
type templates struct{ *api.Centres }

// CreateMessageTemplate makes a template.
func (s templates) CreateMessageTemplate(ctx context.Context, req *identityv1.CreateMessageTemplateRequest) (*identityv1.MessageTemplate, error) {
	ids, err := organization.Pattern.Parse("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.MessageTemplate, error) {
		id, err := tx.IDOr("message_template_id", req.GetMessageTemplateId())
		if err != nil {
			return nil, err
		}
		return s.Templates.Create(tx, revise.Named(req.GetMessageTemplate(), message.Pattern.Format(ids[0], id)))
	})
}

// GetMessageTemplate returns a template.
func (s templates) GetMessageTemplate(ctx context.Context, req *identityv1.GetMessageTemplateRequest) (*identityv1.MessageTemplate, error) {
	if err := message.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return api.Read(ctx, s.Centres, func(r kv.Reader) (*identityv1.MessageTemplate, error) { return s.Templates.Get(r, req.GetName()) })
}

// ListMessageTemplates returns a page of templates, by name.
func (s templates) ListMessageTemplates(ctx context.Context, req *identityv1.ListMessageTemplatesRequest) (*identityv1.ListMessageTemplatesResponse, error) {
	if err := organization.Pattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	found, next, err := api.PageOf(ctx, s.Centres, req, "ListMessageTemplates",
		func(r kv.Reader, after []byte, limit int) ([]*identityv1.MessageTemplate, []byte, error) {
			return s.Templates.List(r, req.GetParent(), after, limit)
		})
	return &identityv1.ListMessageTemplatesResponse{MessageTemplates: found, NextPageToken: next}, err
}

// UpdateMessageTemplate changes the masked fields.
func (s templates) UpdateMessageTemplate(ctx context.Context, req *identityv1.UpdateMessageTemplateRequest) (*identityv1.MessageTemplate, error) {
	if err := message.Pattern.Check("message_template.name", req.GetMessageTemplate().GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.MessageTemplate, error) {
		return s.Templates.Update(tx, req.GetMessageTemplate(), req.GetUpdateMask())
	})
}

// DeleteMessageTemplate removes a template.
func (s templates) DeleteMessageTemplate(ctx context.Context, req *identityv1.DeleteMessageTemplateRequest) (*identityv1.MessageTemplate, error) {
	if err := message.Pattern.Check("name", req.GetName()); err != nil {
		return nil, err
	}
	return change.Do(ctx, s.Journal, req, func(tx *change.Tx) (*identityv1.MessageTemplate, error) {
		return s.Templates.Delete(tx, req.GetName(), req.GetEtag())
	})
}

// PreviewMessageTemplate shows a message with made-up values.
func (s templates) PreviewMessageTemplate(ctx context.Context, req *identityv1.PreviewMessageTemplateRequest) (*identityv1.PreviewMessageTemplateResponse, error) {
	if err := organization.Pattern.Check("parent", req.GetParent()); err != nil {
		return nil, err
	}
	var shown *identityv1.MessageTemplate
	var text message.Text
	err := s.Store.View(ctx, func(r kv.Reader) (err error) {
		shown, text, err = s.Templates.Preview(r, req.GetParent(), req.GetMessageTemplate())
		return err
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.PreviewMessageTemplateResponse{MessageTemplate: shown, Subject: text.Subject, Text: text.Plain, Html: text.HTML}, nil
}
