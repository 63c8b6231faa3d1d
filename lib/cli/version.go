package cli

// Version is what --version prints. The release sets it with -ldflags "-X …/lib/cli.Version=…".
var Version = "0.1.0-dev"
