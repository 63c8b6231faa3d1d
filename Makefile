# Retire-Cluster. `make help` lists what can be made.

GO      ?= go
PREFIX  ?= /usr/local
VERSION ?=
FUZZTIME ?= 8s
COMMANDS = rc-mained rc-workerd rc-submit rc-status rc-logs rc-ctl rc-web
PURE     = $(filter-out rc-mained rc-workerd,$(COMMANDS))
PLATFORMS = linux/amd64 linux/arm64 linux/arm linux/386 linux/riscv64 android/arm64 windows/amd64 darwin/arm64

LDFLAGS = -s -w $(if $(VERSION),-X github.com/retire-cluster/retire-cluster/lib/cli.Version=$(VERSION))
BUILD   = $(GO) build -trimpath -ldflags '$(LDFLAGS)'
MAIN_TAGS = sqlite_omit_load_extension
# http_request tasks do without HTTP/2, which is 330 kB of a worker.
WORKER_TAGS = nethttpomithttp2
STATICCHECK = $(GO) run honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: build demo test prove check fuzz bench bench-quick vendor-web microbench cover dist install uninstall clean help

build: ## Build all commands into bin/.
	@mkdir -p bin
	CGO_ENABLED=1 $(BUILD) -tags $(MAIN_TAGS) -o bin/ ./cmd/rc-mained
	CGO_ENABLED=0 $(BUILD) -tags $(WORKER_TAGS) -o bin/ ./cmd/rc-workerd
	CGO_ENABLED=0 $(BUILD) -o bin/ $(PURE:%=./cmd/%)

demo: build ## Start a cluster on this host, run a real job on it, print the results, stop. KEEP=1 leaves it running.
	@GO='$(GO)' KEEP='$(KEEP)' contrib/demo/demo.sh bin

test: ## Run every test.
	@contrib/test.sh '$(GO)'

prove: ## Prove that nothing is lost: kills, cuts, full disks and power cuts by the thousand, one line a lane. Up to ten minutes.
	@contrib/prove.sh '$(GO)'

check: ## Formatting, vet, static checks, races, man pages, shell scripts, units.
	@contrib/check.sh '$(GO)' '$(STATICCHECK)'

fuzz: ## Feed every parser with what it does not expect, FUZZTIME (8s) each.
	@contrib/fuzz.sh '$(GO)' '$(FUZZTIME)'

bench: build ## Measure clusters on this host against what they are to reach; the table is kept in bin/bench. Half an hour.
	$(GO) run ./contrib/bench -bin bin

bench-quick: build ## The same at a small size, to see that it works. Two minutes at most.
	$(GO) run ./contrib/bench -bin bin -quick

microbench: ## Run the Go benchmarks.
	$(GO) test -run '^$$' -bench . -benchmem ./lib/...

cover: ## Coverage of the packages by their own tests.
	$(GO) test -coverprofile=coverage.out ./lib/... && $(GO) tool cover -func=coverage.out | tail -n 1

dist: ## Build everything but rc-mained for every platform into dist/, without cgo.
	@for p in $(PLATFORMS); do \
		echo "  $$p"; mkdir -p dist/$$p && \
		GOOS=$${p%/*} GOARCH=$${p#*/} CGO_ENABLED=0 $(BUILD) -tags $(WORKER_TAGS) -o dist/$$p/ ./cmd/rc-workerd && \
		GOOS=$${p%/*} GOARCH=$${p#*/} CGO_ENABLED=0 $(BUILD) -o dist/$$p/ $(PURE:%=./cmd/%) || exit 1; \
	done
	@mkdir -p dist/$$($(GO) env GOOS)/$$($(GO) env GOARCH)
	CGO_ENABLED=1 $(BUILD) -tags '$(MAIN_TAGS) osusergo netgo' -o dist/$$($(GO) env GOOS)/$$($(GO) env GOARCH)/ ./cmd/rc-mained

install: ## Install commands, man pages and units below PREFIX (/usr/local) and DESTDIR.
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man5 \
		$(DESTDIR)$(PREFIX)/share/man/man7 $(DESTDIR)$(PREFIX)/share/man/man8 $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/lib/sysusers.d
	install -m 0755 $(COMMANDS:%=bin/%) $(DESTDIR)$(PREFIX)/bin/
	for s in 1 5 7 8; do install -m 0644 man/*.$$s $(DESTDIR)$(PREFIX)/share/man/man$$s/; done
	for u in systemd/*.service; do sed 's|/usr/local/bin|$(PREFIX)/bin|g' $$u > $(DESTDIR)$(PREFIX)/lib/systemd/system/$${u##*/}; done
	install -m 0644 systemd/retire-cluster.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/retire-cluster.conf

uninstall: ## Remove what install installed; data and configuration stay.
	rm -f $(COMMANDS:%=$(DESTDIR)$(PREFIX)/bin/%)
	for s in 1 5 7 8; do for p in man/*.$$s; do rm -f $(DESTDIR)$(PREFIX)/share/man/man$$s/$${p##*/}; done; done
	for u in systemd/*.service; do rm -f $(DESTDIR)$(PREFIX)/lib/systemd/system/$${u##*/}; done
	rm -f $(DESTDIR)$(PREFIX)/lib/sysusers.d/retire-cluster.conf

vendor-web: ## Fetch anew, from npm, what pages and their tests have of others, and note the sums.
	@contrib/vendor.sh

clean: ## Remove what was built.
	rm -rf bin dist coverage.out

help: ## List what can be made.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
