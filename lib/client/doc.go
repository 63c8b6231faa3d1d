/*
Package client is the Go API of a cluster: submit tasks, follow what happens and what they print, list, cancel, administer.
It is for programs that use a cluster, and follows semantic versioning; it prints nothing. Begin with Dial and Submit:

	o, err := client.Find(client.Options{}, os.LookupEnv) // the main node of this host
	if err != nil {
		return err
	}
	c, err := client.Dial(ctx, o)
	if err != nil {
		return err
	}
	defer c.Close()
	s, err := c.Submit(ctx, []task.Spec{{Type: task.TypeEcho, Payload: json.RawMessage(`{"message":"hello"}`)}}, client.SubmitOptions{})
	if err != nil {
		return err
	}
	for piece, err := range c.Output(ctx, wire.FollowOutput{Task: s.Tasks[0].String(), Follow: true}) {
		if err != nil {
			return err
		}
		os.Stdout.Write(piece.Data)
	}

Many goroutines may use one Client. Their requests share one connection and do not wait for each other. Who follows events
or output has a connection of its own for that: who reads slowly keeps nobody else waiting, and to break out of the loop is
to hang up.

Errors that the main node answers are *wire.Error, so that errors.Is(err, task.ErrNotFound) says what it says. That it
cannot be reached is an *UnreachableError. Both know the exit status of a command that meets them.
*/
package client
