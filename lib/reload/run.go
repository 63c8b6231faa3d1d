package reload

import "context"

// Run calls again after the file at path changed, and when also says so (SIGHUP, mostly), one call at a time, until ctx
// ends. Without a path only also counts.
func Run(ctx context.Context, path string, also <-chan struct{}, again func()) error {
	changed := make(chan struct{}, 1)
	failed := make(chan error, 1)
	if path != "" {
		go func() {
			failed <- Watch(ctx, path, Debounce, func() {
				select {
				case changed <- struct{}{}:
				default: // a call that has not begun yet will see this change too
				}
			})
		}()
	}
	for {
		select {
		case <-changed:
			again()
		case <-also:
			again()
		case err := <-failed:
			if err != nil || ctx.Err() != nil {
				return err
			}
		case <-ctx.Done():
			if path != "" {
				<-failed
			}
			return nil
		}
	}
}
