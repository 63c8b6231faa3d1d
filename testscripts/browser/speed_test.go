package browser

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/heapprofiler"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// What people wait for. The bounds are those that the project promises; what was measured is logged.

// The first view is there in a second over a slow network, with nothing kept from before.
func TestFirstViewIsQuick(t *testing.T) {
	c := newCluster(t, "pi4")
	p := newPage(t, c, 1280, 800)
	p.open("/help") // the browser itself has started, and knows nothing of the first view
	var received atomic.Int64
	if err := chromedp.Listen(p.ctx, func(event any) {
		if e, ok := event.(*network.EventLoadingFinished); ok {
			received.Add(int64(e.EncodedDataLength))
		}
	}); err != nil {
		t.Fatal(err)
	}
	const bytesPerSecond = 10e6 / 8
	call(p, network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true})
	call(p, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{Latency: 5, DownloadThroughput: bytesPerSecond, UploadThroughput: bytesPerSecond}}})
	best := time.Hour
	for range 3 { // the machine may be busy with something else
		received.Store(0)
		began := time.Now()
		p.open("/")
		p.until("document.getElementById('terminal').dataset.ready")
		best = min(best, time.Since(began))
	}
	t.Logf("first view: %s at 10 Mbit/s, %d bytes", best.Round(time.Millisecond), received.Load())
	if n := received.Load(); n == 0 || n > 200_000 {
		t.Errorf("it took %d bytes, of at most 200,000", n)
	}
	if best > time.Second {
		t.Errorf("it took %s", best)
	}
	p.clean()
}

// call gives the browser a command.
func call[P, R any](p *page, c cdp.Command[P, R], params P) R {
	p.t.Helper()
	answer, err := chromedp.Call(p.ctx, c, params)
	if err != nil {
		p.t.Fatal(err)
	}
	return answer
}

// A command has printed its answer, and the next can be typed, in a tenth of a second.
func TestCommandsAreQuick(t *testing.T) {
	c := newCluster(t, "pi4")
	c.run("rc-submit", "--wait", "--", "true")
	p := newPage(t, c, 1280, 800)
	p.open("/")
	p.until("document.getElementById('terminal').dataset.ready")
	p.js(`window.times = []; new MutationObserver(() => times.push(performance.now())).observe(document.getElementById("terminal"), {attributes: true, attributeFilter: ["data-lines"]});
		document.addEventListener("keydown", e => { if (e.key === "Enter") window.pressed = performance.now() }, true); 0`)
	for _, line := range []string{"rc-status", "rc-status devices", "rc-status tasks | grep completed | wc -l"} {
		var took []float64
		for range 9 {
			p.enter(line)
			ms, err := strconv.ParseFloat(p.js("times.at(-1) - pressed"), 64)
			if err != nil {
				t.Fatal(err)
			}
			took = append(took, ms)
		}
		slices.Sort(took)
		t.Logf("%s: %.0f ms, at most %.0f", line, took[4], took[8])
		if took[4] > 100 {
			t.Errorf("%s took %.0f ms", line, took[4])
		}
	}
	p.clean()
}

// What happens is in the browser 50 ms after it was decided by the main node, whose clock is this one's.
func TestEventsAreQuick(t *testing.T) {
	c := newCluster(t, "pi4")
	p := newPage(t, c, 1280, 800)
	p.open("/help")
	p.js(`window.late = []; window.source = new EventSource("/stream/logs?n=0");
		source.onmessage = m => late.push(Date.now() - Date.parse(JSON.parse(m.data).timestamp));
		source.onopen = () => { window.opened = true }; 0`)
	p.until("window.opened")
	for i := range 20 {
		c.run("rc-submit", "--wait", "--", "true")
		p.until(fmt.Sprintf("late.length >= %d", 3*(i+1)))
	}
	took := p.numbers("late")
	t.Logf("%d events: %d ms at the median, 95 of 100 in %d ms, at most %d", len(took), took[len(took)/2], took[len(took)*95/100], took[len(took)-1])
	if m := took[len(took)/2]; m > 50 {
		t.Errorf("the median is %d ms", m)
	}
	p.clean()
}

// What a page shows of a device that changes is drawn soon after that was decided, and not when the page would look by itself.
func TestPagesAreDrawnQuickly(t *testing.T) {
	c := newCluster(t, "pi4")
	p := newPage(t, c, 1280, 800)
	p.open("/devices")
	p.until("document.getElementById('live').textContent === 'live'")
	p.js(`window.drawn = []; window.decided = [];
		const state = () => document.querySelector("#main .state").textContent;
		let was = state();
		new MutationObserver(() => {
			const is = state();
			if (is === was || is !== "draining" && is !== "online") return; // a busy machine may have it offline for a while
			was = is;
			drawn.push(Date.now());
		}).observe(document.getElementById("main"), {subtree: true, childList: true, characterData: true});
		window.source = new EventSource("/stream/logs?n=0&device=pi4");
		source.onmessage = m => {
			const e = JSON.parse(m.data);
			if (e.event === "device_draining" || e.event === "device_resumed") decided.push(Date.parse(e.timestamp));
		};
		source.onopen = () => { window.opened = true }; 0`)
	p.until("window.opened")
	for i := range 6 {
		time.Sleep(1100 * time.Millisecond) // people do not change their minds faster, and a page is not drawn twice in a second
		c.run("rc-ctl", []string{"drain", "undrain"}[i%2], "pi4")
		p.until(fmt.Sprintf("drawn.length > %d && decided.length > %d", i, i))
	}
	took := p.numbers("drawn.map((at, i) => at - decided[i])")
	t.Logf("a device that changes is drawn %d ms later at the median, at most %d", took[len(took)/2], took[len(took)-1])
	if took[0] > 100 { // the machine may be busy with something else
		t.Errorf("it takes %d ms at the least", took[0])
	}
	p.clean()
}

// A hundred thousand lines go through the terminal, which takes more typing after them, and no more than 50 MB for what it keeps of them.
func TestTerminalTakesManyLines(t *testing.T) {
	c := newCluster(t, "pi4")
	c.run("rc-submit", "--wait", "--", "seq", "-f", "line %.0f of a log that is as long as such lines are, with a time and a word or two", "100000")
	task, _, _ := strings.Cut(c.run("rc-status", "tasks"), "|")
	p := newPage(t, c, 1280, 800)
	p.open("/")
	p.until("document.getElementById('terminal').dataset.ready")
	before := p.memory()
	began := time.Now()
	p.enter("rc-logs " + task)
	took := time.Since(began)
	p.said("line 100000 of a log")
	grew := p.memory() - before
	t.Logf("100,000 lines in %s; %.1f MB more", took.Round(time.Millisecond), grew/1e6)
	if grew > 50e6 {
		t.Errorf("it takes %.1f MB", grew/1e6)
	}
	p.enter("echo still here")
	p.said("\nstill here\n")
	p.clean()
}

// numbers are the whole ones of a list, the least first.
func (p *page) numbers(list string) (all []int) {
	p.t.Helper()
	for s := range strings.SplitSeq(p.js("("+list+").join()"), ",") {
		n, err := strconv.Atoi(s)
		if err != nil {
			p.t.Fatal(err)
		}
		all = append(all, n)
	}
	slices.Sort(all)
	return all
}

// memory is how many bytes the page's scripts hold.
func (p *page) memory() float64 {
	p.t.Helper()
	call(p, heapprofiler.CollectGarbage, cdp.Empty{})
	u := call(p, runtime.GetHeapUsage, cdp.Empty{})
	return u.UsedSize + u.EmbedderHeapUsedSize + u.BackingStorageSize
}
