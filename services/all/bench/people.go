package bench

import (
	"bytes"
	"fmt"
	"io"

	identityv1 "guildhall.dev/proto/gen/guildhall/identity/v1"
)

// somebody is a customer of the directory. Everything of one follows from its
// number.
type somebody struct{ id, name, email, phone, country string }

var (
	families = []struct{ han, pinyin string }{
		{"\u738b", "wang"}, {"\u674e", "li"}, {"\u5f20", "zhang"}, {"\u5218", "liu"}, {"\u9648", "chen"}, {"\u6768", "yang"}, {"\u9ec4", "huang"}, {"\u8d75", "zhao"},
		{"\u5468", "zhou"}, {"\u5434", "wu"}, {"\u5f90", "xu"}, {"\u5b59", "sun"}, {"\u9a6c", "ma"}, {"\u6731", "zhu"}, {"\u80e1", "hu"}, {"\u90ed", "guo"},
	}
	given     = []rune("\u4f1f\u82b3\u5a1c\u654f\u9759\u4e3d\u5f3a\u78ca\u519b\u6d0b\u52c7\u8273\u6770\u6d9b\u660e\u8d85\u971e\u5e73\u521a\u6842")
	countries = []string{"China", "France", "Germany", "Spain", "United Kingdom"}
)

func person(i int) somebody {
	return somebody{
		id: fmt.Sprint(i), name: families[i%len(families)].han + string(given[i/16%20]) + string(given[i/320%20]),
		email: fmt.Sprintf("customer%d@example.com", i), phone: fmt.Sprintf("+861%010d", i), country: countries[i%len(countries)],
	}
}

// perImport is how many customers one stream brings: it lasts no longer than the
// token that it is opened with.
const perImport = 50_000

// grow imports customers until there are so many.
func (m *searched) grow(size int) error {
	for m.present < size {
		next := min(m.present+perImport, size)
		if err := m.bring(m.present, next); err != nil {
			return err
		}
		m.present = next
	}
	return nil
}

func (m *searched) bring(from, to int) error {
	stream, err := m.customers.ImportCustomers(m.ctx)
	if err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() { sent <- send(stream.Send, m.organization, from, to, stream.CloseSend) }()
	for {
		resp, err := stream.Recv()
		if err == io.EOF {
			return <-sent
		}
		if err != nil {
			return err
		}
		if resp.GetResult() != identityv1.ImportCustomersResponse_RESULT_CREATED {
			return fmt.Errorf("line %d: %s %s", resp.GetLine(), resp.GetReason(), resp.GetMessage())
		}
	}
}

// send sends customers as CSV, some hundred to a message.
func send(send func(*identityv1.ImportCustomersRequest) error, parent string, from, to int, end func() error) error {
	err := send(&identityv1.ImportCustomersRequest{Content: &identityv1.ImportCustomersRequest_Options{Options: &identityv1.ImportOptions{Parent: parent}}})
	if err != nil {
		return err
	}
	var lines bytes.Buffer
	lines.WriteString("external_id,display_name,email,phone,country\n")
	for i := from; i < to; i++ {
		p := person(i)
		fmt.Fprintf(&lines, "%s,%s,%s,%s,%s\n", p.id, p.name, p.email, p.phone, p.country)
		if lines.Len() < 1<<15 && i < to-1 {
			continue
		}
		err := send(&identityv1.ImportCustomersRequest{Content: &identityv1.ImportCustomersRequest_Data{Data: bytes.Clone(lines.Bytes())}})
		if err != nil {
			return err
		}
		lines.Reset()
	}
	return end()
}
