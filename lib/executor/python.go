package executor

import (
	"context"

	"github.com/retire-cluster/retire-cluster/lib/task"
)

const python = "python3"

// evaluate answers the value of the expression on its standard input. An exception of the expression's is told in
// its last lines, without the traceback, which would show only the lines below; sys.exit works as it does elsewhere.
const evaluate = `import sys
expression = sys.stdin.read().strip()
try:
    sys.stdout.write(str(eval(compile(expression, "expression", "eval"), {})))
    sys.stdout.flush()
except Exception as e:
    import traceback
    sys.stderr.write("".join(traceback.format_exception_only(type(e), e)))
    sys.exit(1)
`

// pythonArgv isolates Python from the user's packages and variables, makes it read and write UTF-8 whatever the
// device's language, and lifts the limit on the length of printed integers.
var pythonArgv = []string{python, "-I", "-S", "-X", "utf8", "-X", "int_max_str_digits=0", "-c", evaluate}

func (x *Executor) python(ctx context.Context, a Attempt, p *task.PythonEval, out *output) task.Result {
	path, err := lookPath(python, x.path)
	if err != nil {
		return ended(exitNotFound, "python3: not found on this device")
	}
	return x.process(ctx, a, program{path: path, argv: pythonArgv, env: p.Environment, stdin: p.Expression}, out)
}
