package browser

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/chromedp/chromedp"
)

// axe finds what shuts people out who do not see or point: axe-core, as its makers have made it; testdata/axe/versions.json says which.
//
//go:embed testdata/axe/axe.min.js
var axe string

// accessible fails for every rule of accessibility that the page breaks, with the first places where it does.
func (p *page) accessible(name string) {
	p.t.Helper()
	said, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](axe+`;axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(v =>
		v.id + ": " + v.help + "\n" + v.nodes.slice(0, 5).map(n => "    " + n.target + "  " + n.html.slice(0, 160) + "\n      " + n.failureSummary.replaceAll("\n", " ")).join("\n")).join("\n"))`, chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatal(err)
	}
	if said != "" {
		p.t.Errorf("%s: %s", name, said)
	}
}

// What others have made is as they made it.
func TestVendored(t *testing.T) {
	b, err := os.ReadFile("testdata/axe/versions.json")
	if err != nil {
		t.Fatal(err)
	}
	var packages []struct{ Files map[string]string }
	if err := json.Unmarshal(b, &packages); err != nil {
		t.Fatal(err)
	}
	for name, sum := range packages[0].Files {
		b, err := os.ReadFile("testdata/axe/" + name)
		if is := sha256.Sum256(b); err != nil || hex.EncodeToString(is[:]) != sum {
			t.Errorf("%s: %x, %v", name, is, err)
		}
	}
}
