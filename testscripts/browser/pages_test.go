package browser

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

var themes = []string{"light", "matrix", "amber", "blue", "solarized-dark", "contrast"}

// newLivelyCluster is one in which much has happened: a device is there, one drains, one is gone; a task runs, one waits, one failed, one has brought a file
// back.
func newLivelyCluster(t *testing.T) (c *cluster, paths []string) {
	c = newCluster(t, "pi4", "attic", "pixel-3a")
	submit := func(args ...string) string { return strings.TrimSpace(c.run("rc-submit", args...)) }
	submit("--wait", "--device", "pixel-3a", "--shell", "echo out; echo err >&2; exit 3")
	submit("--wait", "--name", "report", "--out", "report.txt", "--shell", "echo all is well >report.txt; seq 30")
	ran := submit("--device", "pi4", "--name", "thumbnails", "--priority", "high", "--shell", "echo 40% of the pictures >&3; seq 5; exec sleep 600")
	submit("--require", "gpu", "--", "true")
	c.kill("pixel-3a")
	c.run("rc-ctl", "drain", "attic")
	c.until(func() bool {
		return strings.Contains(c.run("rc-status", "devices"), "pixel-3a|offline") && strings.Contains(c.run("rc-status", "tasks"), ran+"|running")
	}, "a device is gone, and a task runs")
	brought, _, _ := strings.Cut(strings.TrimPrefix(c.run("rc-status", "tasks", "--state", "completed"), "\n"), "|")
	failed, _, _ := strings.Cut(c.run("rc-status", "tasks", "--state", "failed"), "|")
	return c, []string{"/", "/devices", "/devices/pi4", "/devices/pixel-3a", "/tasks", "/tasks?state=queued", "/tasks/" + ran, "/tasks/" + failed, "/tasks/" + brought, "/logs", "/charts", "/join",
		"/help", "/login", "/nowhere", "/api"}
}

// The pages fit every screen, and shut nobody out.
func TestPages(t *testing.T) {
	c, paths := newLivelyCluster(t)
	for _, size := range [][2]int64{{360, 740}, {1280, 800}, {1920, 1080}} {
		p := newPage(t, c, size[0], size[1])
		p.login("admin")
		for _, path := range paths {
			p.open(path)
			p.until("document.documentElement.scrollWidth <= innerWidth")
			if size[0] != 1920 { // which has the rules of 1280
				p.accessible(fmt.Sprintf("%s at %d", path, size[0]))
			}
			p.shoot(fmt.Sprintf("%s-%d", fileName(path), size[0]))
		}
		p.clean("404")
	}
}

// fileName is a path as a file can be called.
func fileName(path string) string {
	if path == "/" {
		return "terminal"
	}
	return strings.Trim(strings.NewReplacer("/", "-", "?", "-", "=", "-").Replace(path), "-")
}

// Whoever likes their pages otherwise can read them, too.
func TestThemes(t *testing.T) {
	c, paths := newLivelyCluster(t)
	p := newPage(t, c, 1280, 800)
	p.login("admin")
	for _, theme := range themes {
		p.js("localStorage.setItem('rc-theme', " + quote(theme) + ")")
		for _, path := range []string{"/", "/devices", "/tasks", paths[6]} {
			p.open(path)
			p.until("document.documentElement.dataset.theme === " + quote(theme))
			p.accessible(path + " in " + theme)
			p.shoot(fileName(path) + "-" + theme)
		}
	}
	p.clean()
}

// The pages are one key away, follow what happens, outlive what they ask, and keep the colours that were chosen.
func TestLive(t *testing.T) {
	c := newCluster(t, "pi4", "attic")
	p := newPage(t, c, 1280, 800)
	p.open("/")
	p.until("document.getElementById('terminal').dataset.ready")
	p.js("const theme = document.getElementById('theme'); theme.value = 'amber'; theme.dispatchEvent(new Event('change'))")
	p.until("document.documentElement.dataset.theme === 'amber'")
	p.keys(kb.F2)
	p.until("location.pathname === '/devices' && document.documentElement?.dataset.theme === 'amber'")
	p.until("document.getElementById('live')?.textContent === 'live'")
	p.js("window.sameDocument = true")
	c.run("rc-ctl", "drain", "pi4")
	p.until("document.getElementById('d-pi4').textContent.includes('draining')")
	c.kill("attic")
	p.until("document.getElementById('d-attic').textContent.includes('offline')")
	c.again("attic")
	p.until("document.getElementById('d-attic').textContent.includes('online')")
	for _, daemon := range []string{"main", "web"} {
		c.kill(daemon)
		p.until("document.getElementById('live').className === 'lost'")
		c.again(daemon)
		p.until("document.getElementById('live').className === 'on' && document.getElementById('d-pi4')")
	}
	c.run("rc-ctl", "undrain", "pi4")
	p.until("!document.getElementById('d-pi4').textContent.includes('draining')")
	if p.js("window.sameDocument") != "true" {
		t.Error("the page was loaded anew")
	}
	p.clean("503", "ERR_INCOMPLETE_CHUNKED", "ERR_CONNECTION")
}

// What a task prints arrives while it prints, and so does its end, also when rc-web went away in between.
func TestTaskIsFollowed(t *testing.T) {
	c := newCluster(t, "pi4")
	go1, go2 := c.path("go1"), c.path("go2")
	waits := "until [ -e %s ]; do sleep .05; done; "
	id := strings.TrimSpace(c.run("rc-submit", "--shell", fmt.Sprintf("echo one; "+waits+"echo two; "+waits+"echo three", go1, go2)))
	p := newPage(t, c, 360, 740)
	p.open("/tasks/" + id)
	p.until("document.getElementById('printed')?.textContent === 'one\\n'")
	touch(t, go1)
	p.until("document.getElementById('printed').textContent === 'one\\ntwo\\n'")
	c.kill("web")
	touch(t, go2)
	c.again("web")
	p.until("document.getElementById('printed').textContent === 'one\\ntwo\\nthree\\n'")
	p.until("document.querySelector('.title .state').textContent === 'completed'")
	p.clean("503", "ERR_INCOMPLETE_CHUNKED", "ERR_CONNECTION")
}
