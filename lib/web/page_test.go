package web

import (
	"strings"
	"testing"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

func TestPage(t *testing.T) {
	s := newSite(t)
	got := s.get("/")
	if got.status != 200 || !strings.Contains(got.body, "No device has joined yet") || got.header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Error(got)
	}
	s.submit(task.Spec{Type: task.TypeEcho, Name: "<script>alert(1)</script> \u202egnp.exe"})
	got = s.get("/")
	if strings.Contains(got.body, "<script>alert") || !strings.Contains(got.body, "&lt;script&gt;alert(1)&lt;/script&gt; &lt;U&#43;202E&gt;gnp.exe") {
		t.Error(got.body)
	}
	if strings.Contains(got.body, "style=") || strings.Contains(got.body, " on") && strings.Contains(got.body, "onclick") {
		t.Error("the policy forbids what stands in the page")
	}
	for path, kind := range map[string]string{"/static/page.css": "text/css; charset=utf-8", "/static/page.js": "text/javascript; charset=utf-8"} {
		if got := s.get(path); got.status != 200 || got.header.Get("Content-Type") != kind || !strings.Contains(s.get("/").body, path) {
			t.Error(got)
		}
	}
}
