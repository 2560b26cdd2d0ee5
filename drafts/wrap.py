import subprocess,sys
for f in sys.argv[1:]:
    for _ in range(60):
        lines=open(f).read().split("\n")
        long=[i+1 for i,l in enumerate(lines) if len(l)>119 and not l.startswith("#")]
        done=False
        for l in reversed(long):
            before=open(f).read()
            r=subprocess.run(["ruff","format","-q","--line-length","119","--config","format.skip-magic-trailing-comma=true","--range",f"{l}:1-{l}:{len(lines[l-1])}",f],capture_output=True,text=True)
            if r.stderr: print(f,l,r.stderr)
            if open(f).read()!=before: done=True; break
        if not done: break
    lines=open(f).read().split("\n")
    for i,l in enumerate(lines):
        if len(l)>119 and not l.startswith("#"): print("LONG",f,i+1,len(l),l[:100])
