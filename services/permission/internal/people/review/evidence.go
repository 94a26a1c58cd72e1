package review

import (
	"encoding/csv"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"

	permissionv1 "guildhall.dev/proto/gen/guildhall/permission/v1"
)

// header are the columns of evidence in CSV.
func header() []string {
	return []string{
		"review", "revision", "grant", "subject", "role", "resource", "expire_time", "granted_by", "granted_at", "grant_reason",
		"reviewer", "decision", "decision_reason", "decided_by", "decided_at", "outcome", "outcome_reason",
	}
}

// WriteCSV writes a line for each item of a review. The error is that of the
// items or the writer.
func WriteCSV(w io.Writer, review *permissionv1.AccessReview, items iter.Seq2[*permissionv1.AccessReviewItem, error]) error {
	out := csv.NewWriter(w)
	if err := out.Write(header()); err != nil {
		return fmt.Errorf("write evidence: %w", err)
	}
	for it, err := range items {
		if err != nil {
			return err
		}
		line := row(review, it)
		for i := range line {
			line[i] = harmless(line[i])
		}
		if err := out.Write(line); err != nil {
			return fmt.Errorf("write evidence: %w", err)
		}
	}
	out.Flush()
	return out.Error()
}

func row(review *permissionv1.AccessReview, it *permissionv1.AccessReviewItem) []string {
	g := it.GetGrant()
	line := []string{
		review.GetName(), fmt.Sprint(review.GetRevision()), g.GetName(), g.GetSubject(), g.GetRole(), g.GetResource(),
		stamp(g.GetExpireTime()), g.GetCreator(), stamp(g.GetCreateTime()), g.GetReason(),
		it.GetReviewer(), undecided, it.GetReason(), it.GetDecider(), stamp(it.GetDecideTime()), pending, it.GetOutcomeReason(),
	}
	if it.GetDecision() != 0 {
		line[11] = DecisionWord(it.GetDecision())
	}
	if it.GetOutcome() != 0 {
		line[15] = OutcomeWord(it.GetOutcome())
	}
	return line
}

func stamp(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().Format(time.RFC3339)
}

// formulas are the characters, and their full-width forms, that make a
// spreadsheet take a cell for a formula (OWASP, CSV Injection).
const formulas = "=+-@\t\r\n＝＋－＠"

// harmless returns a cell that no spreadsheet runs. Leading spaces do not help
// a formula: some programs drop them.
func harmless(cell string) string {
	if trimmed := strings.TrimLeft(cell, " \u00a0\u3000"); trimmed != "" && strings.ContainsRune(formulas, []rune(trimmed)[0]) {
		return "'" + cell
	}
	return cell
}

// WriteJSON writes one object: the review and its items. The error is that of
// the items or the writer.
func WriteJSON(w io.Writer, review *permissionv1.AccessReview, items iter.Seq2[*permissionv1.AccessReviewItem, error]) error {
	head, err := protojson.Marshal(review)
	if err != nil {
		return fmt.Errorf("encode evidence: %w", err)
	}
	if _, err := fmt.Fprintf(w, "{\"accessReview\":%s,\"items\":[", head); err != nil {
		return fmt.Errorf("write evidence: %w", err)
	}
	first := true
	for it, err := range items {
		if err != nil {
			return err
		}
		item, err := protojson.Marshal(it)
		if err != nil {
			return fmt.Errorf("encode evidence: %w", err)
		}
		separator := ",\n"
		if first {
			separator, first = "\n", false
		}
		if _, err := fmt.Fprintf(w, "%s%s", separator, item); err != nil {
			return fmt.Errorf("write evidence: %w", err)
		}
	}
	if _, err := io.WriteString(w, "\n]}\n"); err != nil {
		return fmt.Errorf("write evidence: %w", err)
	}
	return nil
}
