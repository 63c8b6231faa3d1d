package browser

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// said waits until the terminal shows a text, and nothing runs.
func (p *page) said(text string) {
	p.t.Helper()
	p.until("window.rcTerminal && rcTerminal.text().includes(" + quote(text) + ") && !document.getElementById('terminal').hasAttribute('aria-busy')")
}

// quote writes a text as JavaScript does.
func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

// enter types a line and waits for its end.
func (p *page) enter(line string) {
	p.t.Helper()
	before := p.js("document.getElementById('terminal').dataset.lines || '0'")
	p.keys(line + enter)
	p.until("(document.getElementById('terminal').dataset.lines || '0') != " + quote(before))
}

func TestTerminal(t *testing.T) {
	c := newCluster(t, "pi4", "attic")
	c.run("rc-submit", "--wait", "--", "true")
	p := newPage(t, c, 1280, 800)
	p.open("/")
	p.until("document.getElementById('terminal').dataset.ready")
	p.shoot("terminal-start")

	// real commands, pipes and loops
	p.enter("rc-status devices | grep online | wc -l")
	p.said("\n2\n")
	p.enter("for d in pi4 attic; do echo \"<$d>\"; done")
	p.said("<pi4>\n<attic>")
	p.enter("rc-status devices")
	p.said("LAST SEEN")
	p.enter("ls /")
	p.said("no such command")

	// who is not logged in looks, and changes nothing
	p.enter("rc-submit -- true")
	p.said("needs a token of the role submit")
	if n := strings.Count(c.run("rc-status", "tasks"), "\n"); n != 1 {
		t.Errorf("%d tasks", n)
	}

	// completion, of commands, of devices, of flags
	p.keys("rc-sta" + kb.Tab)
	p.until("rcTerminal.text().trimEnd().endsWith('rc> rc-status')")
	p.keys("device at" + kb.Tab)
	p.until("rcTerminal.text().trimEnd().endsWith('rc> rc-status device attic')")
	p.enter("")
	p.said("slots")

	// history, and looking in it
	p.keys(kb.ArrowUp)
	p.until("rcTerminal.text().trimEnd().endsWith('rc> rc-status device attic')")
	p.ctrl("u")
	p.until("rcTerminal.text().trimEnd().endsWith('rc>')")
	p.ctrl("r")
	p.keys("grep")
	p.until("rcTerminal.text().includes(\"(search)'grep': rc-status devices | grep online\")")
	p.enter("")
	p.ctrl("l")
	p.until("!rcTerminal.text().includes('LAST SEEN')")

	// what is followed ends by Ctrl-C
	p.keys("rc-logs -f" + enter)
	p.until("rcTerminal.text().includes('device attic is online')")
	p.ctrl("c")
	p.said("^C")
	p.enter("echo still here")
	p.said("\nstill here\n")

	// what is pasted becomes one line, which nobody has run yet
	p.js(`{const d = new DataTransfer(); d.setData("text/plain", "echo pas\nted"); document.querySelector("#terminal textarea").dispatchEvent(new ClipboardEvent("paste", {clipboardData: d, bubbles: true}))}; 0`)
	p.until("rcTerminal.text().trimEnd().endsWith('rc> echo pas ted')")
	p.enter("")
	p.said("\npas ted\n")

	// it finds what it has printed
	p.do(chromedp.KeyEvent("F", chromedp.KeyModifiers(chromedp.ModifierCtrl, chromedp.ModifierShift)))
	p.until("document.activeElement.type === 'search'")
	p.keys("still here" + enter)
	p.until("document.querySelector('#terminal .xterm-selection div, #terminal .xterm-decoration-container div')")
	p.keys(kb.Escape)
	p.until("document.activeElement.tagName === 'TEXTAREA'")

	// in a window that is narrower, so is what commands print
	p.ctrl("l")
	p.enter("rc-status devices")
	p.said("PLATFORM")
	p.ctrl("l")
	p.until("!rcTerminal.text().includes('PLATFORM')")
	p.do(chromedp.EmulateViewport(400, 800))
	p.until("document.querySelector('#terminal .xterm-screen').clientWidth < 400")
	p.enter("rc-status devices")
	p.said("LAST SEEN")
	if strings.Contains(p.js("rcTerminal.text()"), "PLATFORM") {
		t.Error("the table is as wide as before")
	}
	p.clean()
}

// Who may only look, as everybody who is let in by --public-read, is told so by the terminal, and not sent away from its page.
func TestTerminalForReaders(t *testing.T) {
	c := newCluster(t, "pi4")
	c.start("rc-web", "public", "--listen=0.0.0.0:0", "--insecure-http", "--public-read", "--data="+c.path("main"), "--web-data="+c.path("public"), "--addr-file="+c.path("public.addr"))
	c.await("public.addr")
	address := c.read("public.addr")
	c.web = "http://127.0.0.1" + address[strings.LastIndex(address, ":"):]
	p := newPage(t, c, 1280, 800)
	p.open("/")
	p.until("document.getElementById('terminal').dataset.ready")
	p.said("log in to type commands")
	p.keys("rc-status" + enter)
	p.until("location.pathname === '/login'")
	p.clean("401")
}

// Who has logged in gives work from the browser, and sees what comes of it as it comes.
func TestTerminalSubmits(t *testing.T) {
	c := newCluster(t, "pi4")
	p := newPage(t, c, 360, 740)
	p.login("admin")
	p.open("/")
	p.until("document.getElementById('terminal').dataset.ready")
	p.enter("rc-submit --wait -- echo hello from the phone")
	p.said("\nhello from the phone\n")
	p.enter("tasks list | cut -d '|' -f 2")
	p.said("completed")
	p.keys("rc-submit --wait --shell 'for i in 1 2 3; do echo line $i; sleep 1; done'" + enter)
	p.until("rcTerminal.text().includes('line 1') && !rcTerminal.text().includes('line 3\\n')")
	p.said("line 3")

	// who waits sees why
	p.keys("rc-submit --wait --require gpu -- true" + enter)
	p.until("/\\nt[0-9a-z]{8} waits: fits no device: has no GPU/.test(rcTerminal.text())")
	p.ctrl("c")
	p.said("^C")
	c.run("rc-ctl", "cancel", "--state", "queued")

	// what a task prints does nothing to the terminal, and is not typed into it
	p.enter(`rc-submit --wait --shell 'printf "\033[2J\033]0;evil\007\033[6n\033[c\033P$q\"p\033\\\\hidden"'`)
	p.said("␛[2J␛]0;evil")
	p.said("hello from the phone")
	p.shoot("terminal-phone")
	p.clean()
	if n := strings.Count(c.run("rc-status", "tasks"), "|completed|"); n != 3 {
		t.Errorf("%d tasks were completed", n)
	}
}

// Names in the terminal are pointed at: a click leads to what they name, a double click takes one along.
func TestTerminalPointing(t *testing.T) {
	c := newCluster(t, "pi4")
	c.run("rc-submit", "--wait", "--", "true")
	task, _, _ := strings.Cut(c.run("rc-status", "tasks"), "|")
	p := newPage(t, c, 1280, 800)
	for word, path := range map[string]string{"pi4": "/devices/pi4", task: "/tasks/" + task} {
		p.open("/")
		p.until("document.getElementById('terminal').dataset.ready")
		p.enter("rc-status tasks")
		p.said("\n" + task)
		x, y := p.place(word)
		p.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, x, y))
		p.until("document.querySelector('.xterm-cursor-pointer')")
		p.do(chromedp.MouseClickXY(x, y))
		p.until("location.pathname === " + quote(path))
	}

	p.open("/")
	p.until("document.getElementById('terminal').dataset.ready")
	p.js(`addEventListener("copy", e => { window.copied = e.clipboardData.getData("text/plain") }); 0`)
	p.enter("echo take-this along")
	p.said("\ntake-this along\n")
	x, y := p.place("take-this")
	p.do(chromedp.MouseClickXY(x, y), chromedp.MouseClickXY(x, y, chromedp.ClickCount(2)))
	p.until("document.querySelector('.xterm-selection').childElementCount")
	p.ctrl("c")
	p.until("window.copied === 'take-this'")
	p.keys("echo it did not end the line" + enter) // Ctrl-C did not when something was selected
	p.said("\nit did not end the line\n")
	p.clean()
}

// place is where the last row begins with a word that begins like that, on the page.
func (p *page) place(word string) (x, y float64) {
	p.t.Helper()
	where := p.js(`(() => {
		const word = ` + quote(word) + `;
		const row = [...document.querySelectorAll(".xterm-rows > div")].findLast(r => r.textContent.startsWith(word) || r.textContent.includes(" " + word));
		const walk = document.createTreeWalker(row, NodeFilter.SHOW_TEXT);
		for (let at = row.textContent.lastIndexOf(word), node; node = walk.nextNode(); at -= node.length) {
			if (at >= node.length) continue;
			const range = document.createRange();
			range.setStart(node, at);
			range.setEnd(node, at + 1);
			const r = range.getBoundingClientRect();
			return (r.x + r.width / 2) + " " + (r.y + r.height / 2);
		}
	})()`)
	if _, err := fmt.Sscan(where, &x, &y); err != nil {
		p.t.Fatalf("%q is not on the screen: %v", word, where)
	}
	return x, y
}
