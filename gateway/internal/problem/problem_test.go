package problem

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"guildhall.dev/pkg/errs"
	"guildhall.dev/pkg/rpc"
)

func TestStatus_ofEachKind(t *testing.T) {
	want := map[errs.Kind]int{
		errs.Internal: 500, errs.Invalid: 400, errs.Unauthenticated: 401, errs.Denied: 403, errs.NotFound: 404,
		errs.Exists: 409, errs.Conflict: 409, errs.Precondition: 409, errs.Exhausted: 429, errs.Unavailable: 503,
		errs.Unimplemented: 501, errs.Canceled: 499, errs.DeadlineExceeded: 504, errs.OutOfRange: 400,
	}
	for kind := errs.Internal; !strings.HasPrefix(kind.String(), "kind("); kind++ {
		status, ok := want[kind]
		if !ok {
			t.Errorf("kind %s has no expectation: add it here", kind)
		}
		// Over the wire as well as made here.
		made := errs.New(kind, "SOME_REASON", "a message")
		for _, err := range []error{made, rpc.ToStatus(made, "r1").Err()} {
			p := New(err, Context{AcceptLanguage: "zh"})
			if p.Status != status || p.Reason != "SOME_REASON" {
				t.Errorf("%s is %d %s, want %d", kind, p.Status, p.Reason, status)
			}
			if p.Title == "" || p.Detail == "" || p.Title == titleOf("SOME_REASON") {
				t.Errorf("%s has no Chinese text: %+v", kind, p)
			}
		}
	}
}

func TestNew_carriesWhatProgramsRead(t *testing.T) {
	err := errs.New(errs.Invalid, "VALIDATION_FAILED", "the request breaks the rules of its fields",
		errs.Field(`customer.display_name`, "STRING_MAX_LEN", "must be at most 200 characters"),
		errs.Field(`questions[2].labels["a_b"].is_open`, "REQUIRED", "is required"),
		errs.Meta("limit", "200"), errs.RetryAfter(1500*time.Millisecond))
	text, _ := json.Marshal(New(rpc.ToStatus(err, "r1").Err(), Context{RequestID: "r1"}))
	const want = `{"type":"https://guildhall.dev/problems/validation-failed","title":"Validation failed","status":400,` +
		`"detail":"the request breaks the rules of its fields","instance":"tag:guildhall.dev,2026:requests/r1",` +
		`"reason":"VALIDATION_FAILED","kind":"INVALID","violations":[` +
		`{"field":"customer.displayName","reason":"STRING_MAX_LEN","description":"must be at most 200 characters"},` +
		`{"field":"questions[2].labels[\"a_b\"].isOpen","reason":"REQUIRED","description":"is required"}],` +
		`"metadata":{"limit":"200"},"requestId":"r1","retryAfter":2}`
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func TestNew_tellsNoCause(t *testing.T) {
	for _, err := range []error{
		errors.New("dial 10.0.0.1: secret"),
		errs.New(errs.Internal, "INTERNAL", "dial 10.0.0.1: secret"),
		status.Error(codes.Unavailable, "dial 10.0.0.1: secret"),
		status.Error(codes.Unknown, "dial 10.0.0.1: secret"),
		errs.New(errs.Denied, "PERMISSION_DENIED", "no", errs.Cause(errors.New("secret"))),
		nil,
	} {
		w := httptest.NewRecorder()
		Write(w, err, Context{RequestID: "r1", Authorization: true})
		if strings.Contains(w.Body.String(), "secret") || strings.Contains(strings.Join(w.Header()["Www-Authenticate"], ""), "secret") {
			t.Errorf("%v: answered %s", err, w.Body)
		}
	}
	if p := New(context.DeadlineExceeded, Context{}); p.Status != 504 {
		t.Errorf("the end of a deadline is %d", p.Status)
	}
}

// TestWrite_rfc9470: a client reads from the header what to do.
func TestWrite_rfc9470(t *testing.T) {
	w := httptest.NewRecorder()
	Write(w, errs.New(errs.Unauthenticated, "STEP_UP_REQUIRED", "prove it again", errs.Meta("max_age", "300")), Context{Authorization: true})
	if got := w.Header().Get("WWW-Authenticate"); got != `Bearer realm="guildhall", error="insufficient_user_authentication", max_age=300` || w.Code != 401 {
		t.Errorf("answered %d %s", w.Code, got)
	}
}

func TestWrite_challengesWithoutTexts(t *testing.T) {
	for hadToken, want := range map[bool]string{true: `Bearer realm="guildhall", error="invalid_token"`, false: `Bearer realm="guildhall"`} {
		w := httptest.NewRecorder()
		Write(w, errs.New(errs.Unauthenticated, "TOKEN_EXPIRED", "the token has expired"), Context{Authorization: hadToken})
		if got := w.Header().Get("WWW-Authenticate"); got != want || w.Code != 401 {
			t.Errorf("answered %d, challenge %q, want %q", w.Code, got, want)
		}
	}
}

func TestWrite_saysWhenToComeAgain(t *testing.T) {
	w := httptest.NewRecorder()
	Write(w, errs.New(errs.Exhausted, "HASHING_BUSY", "busy", errs.RetryAfter(2500*time.Millisecond)), Context{})
	if w.Code != 429 || w.Header().Get("Retry-After") != "3" {
		t.Errorf("answered %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
}

func TestWrite_speaksTheClientsLanguage(t *testing.T) {
	err := errs.New(errs.Unauthenticated, "LOGIN_FAILED", "account or password is wrong",
		errs.Field("password", "PASSWORD_TOO_SHORT", "at least 15 characters"), errs.Field("email", "STRING_EMAIL", "no address"), errs.Field("x", "NEW_RULE", "new"))
	for header, language := range map[string]string{
		"": "en", "en-GB": "en", "fr": "en", "zh-CN,zh;q=0.9,en;q=0.8": "zh-CN", "zh": "zh-CN", "zh-Hans-SG": "zh-CN",
		"en;q=0.5, zh;q=0.9": "zh-CN", "de, en;q=0.9, zh;q=0.1": "en", strings.Repeat("zh,", 200): "en", "!!": "en",
	} {
		w := httptest.NewRecorder()
		Write(w, err, Context{AcceptLanguage: header})
		if got := w.Header().Get("Content-Language"); got != language || w.Header().Get("Vary") != "Accept-Language" {
			t.Errorf("%q is answered in %s, want %s", header, got, language)
		}
	}
	p := New(err, Context{AcceptLanguage: "zh-CN"})
	want := []string{"登录失败", "账号或密码不正确，或该账户不能登录。", "密码至少需要 15 个字符。", "邮箱地址的格式不正确。", "该字段的值不符合要求。"}
	got := []string{p.Title, p.Detail, p.Violations[0].Description, p.Violations[1].Description, p.Violations[2].Description}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("text is %q, want %q", got[i], want[i])
		}
	}
}

// reasonList matches "Reasons: A, B (why), C." of an RPC's comment.
var (
	reasonList = regexp.MustCompile(`(?s)Reasons:(.*?)(?:\n\s*rpc |\n\s*//\s*\n)`)
	reasonWord = regexp.MustCompile(`\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b`)
)

// TestTexts_coverTheReasonsOfTheProtos reads the comments of all RPCs.
func TestTexts_coverTheReasonsOfTheProtos(t *testing.T) {
	found := 0
	err := filepath.WalkDir("../../../proto/guildhall", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".proto") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, list := range reasonList.FindAllStringSubmatch(string(text), -1) {
			for _, reason := range reasonWord.FindAllString(list[1], -1) {
				found++
				if _, ok := chineseReasons[reason]; !ok {
					t.Errorf("%s: reason %s has no Chinese text", filepath.Base(path), reason)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 100 {
		t.Errorf("only %d reasons were found: the test looks in the wrong place", found)
	}
	for _, reason := range []string{"TOKEN_MISSING", "VALIDATION_FAILED", "PERMISSION_DENIED", "SERVER_DRAINING", MethodNotAllowed, IdempotencyUnsupported} {
		if _, ok := chineseReasons[reason]; !ok {
			t.Errorf("reason %s has no Chinese text", reason)
		}
	}
}
