package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// page is a page in a browser, and what went wrong in it.
type page struct {
	t   *testing.T
	c   *cluster
	ctx context.Context

	mu    sync.Mutex
	wrong []string
}

// newPage opens a browser of a size. Chromium has to be there: .ci/run installs it.
func newPage(t *testing.T, c *cluster, width, height int64) *page {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
		}
	}
	if path == "" {
		t.Skip("Chromium is not installed (Debian package chromium)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	p := &page{t: t, c: c}
	ctx, cancel = chromedp.NewContext(ctx, chromedp.WithListener(p.heard))
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cancel)
	p.ctx = ctx
	p.do(chromedp.EmulateViewport(width, height))
	return p
}

// heard notes what a good page never says: errors, violations of its policy, questions to other hosts.
func (p *page) heard(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		p.wrong = append(p.wrong, fmt.Sprintf("exception: %s %s:%d %+v", e.ExceptionDetails.Text, e.ExceptionDetails.URL, e.ExceptionDetails.LineNumber, e.ExceptionDetails.Exception))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			b, _ := json.Marshal(e.Args)
			p.wrong = append(p.wrong, fmt.Sprintf("console: %s %s", e.Type, b))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			p.wrong = append(p.wrong, "log: "+e.Entry.Text+" "+e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		if u := e.Request.URL; !strings.HasPrefix(u, p.c.web) && !strings.HasPrefix(u, "data:") {
			p.wrong = append(p.wrong, "a request elsewhere: "+u)
		}
	}
}

// clean fails for what went wrong, but for what may: texts in which one of these stands.
func (p *page) clean(but ...string) {
	p.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.wrong {
		known := false
		for _, b := range but {
			known = known || strings.Contains(w, b)
		}
		if !known {
			p.t.Error(w)
		}
	}
	p.wrong = nil
}

func (p *page) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p.ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

func (p *page) open(path string) {
	p.t.Helper()
	p.do(chromedp.Navigate(p.c.web + path))
}

// js gives the value of an expression as text.
func (p *page) js(expression string) string {
	p.t.Helper()
	v, err := p.value(expression)
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

func (p *page) value(expression string) (string, error) {
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[any](expression))
	return fmt.Sprint(v), err
}

// until waits until an expression is true, on this page or on the one that it is about to become.
func (p *page) until(expression string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(30 * time.Millisecond) {
		v, err := p.value("!!(" + expression + ")")
		switch {
		case err != nil && !strings.Contains(err.Error(), "(-32000)"): // what the browser says when there is another page by now
			p.t.Fatalf("%s: %v", expression, err)
		case v == "true" && err == nil:
			return
		case time.Now().After(deadline):
			p.shoot("failed-" + strings.ReplaceAll(p.t.Name(), "/", "-"))
			p.t.Fatalf("not so after %s: %s\n%s", patience, expression, p.js("document.body.innerText.slice(0, 2000)"))
		}
	}
}

// keys types into what has the focus.
func (p *page) keys(keys string) {
	p.t.Helper()
	p.do(chromedp.KeyEvent(keys))
}

// ctrl types a letter with Ctrl.
func (p *page) ctrl(letter string) {
	p.t.Helper()
	p.do(chromedp.KeyEvent(letter, chromedp.KeyModifiers(chromedp.ModifierCtrl)))
}

// login logs the browser in, by the address that rc-web login prints.
func (p *page) login(role string) {
	p.t.Helper()
	address := strings.TrimSpace(p.c.run("rc-web", "login", "--role", role))
	p.do(chromedp.Navigate(address))
	p.until("location.pathname === '/'")
}

// shoot keeps a picture of the page where RC_SHOTS, or else the test's artifacts, are.
func (p *page) shoot(name string) {
	p.t.Helper()
	b, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.t.Fatal(err)
	}
	dir := os.Getenv("RC_SHOTS")
	if dir == "" {
		dir = p.t.ArtifactDir()
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), b, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

const enter = kb.Enter
