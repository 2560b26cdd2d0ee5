"""python /tmp/runnb.py 05 05-representations : format, convert, run, save into notebooks/"""
import subprocess,sys,nbformat,time,os
from nbclient import NotebookClient
src,name=sys.argv[1:3]; keep="--keep" in sys.argv
p=f"/work/exp/nb/{src}.py"
subprocess.run([sys.executable,"/tmp/wrap.py",p],check=True)
subprocess.run(["jupytext","-q","--to","ipynb",p,"-o",f"/tmp/{src}.ipynb"],check=True)
nb=nbformat.read(f"/tmp/{src}.ipynb",4)
nb.metadata={"kernelspec":{"display_name":"Python 3","language":"python","name":"python3"},"language_info":{"name":"python"}}
for i,c in enumerate(nb.cells):
    c["id"]=f"cell-{i:02d}"
    tags=c.metadata.get("tags"); c.metadata={"tags":tags} if tags else {}
t=time.time()
client=NotebookClient(nb,timeout=600,resources={"metadata":{"path":"/work/main/notebooks"}},allow_errors=keep,record_timing=True,store_widget_state=False)
try: client.execute()
finally:
    slow=[]
    for i,c in enumerate(nb.cells):
        ex=c.metadata.pop("execution",None)
        if ex and "iopub.execute_input" in ex and "shell.execute_reply" in ex:
            from datetime import datetime
            d=(datetime.fromisoformat(ex["shell.execute_reply"].replace("Z","+00:00"))-datetime.fromisoformat(ex["iopub.execute_input"].replace("Z","+00:00"))).total_seconds()
            if d>2: slow.append((i,round(d,1)))
    nb.metadata["language_info"]={"name":"python"}
    out=f"/work/exp/nb/{name}.ipynb" if keep else f"/work/main/notebooks/{name}.ipynb"
    nbformat.write(nb,out)
    print(name,round(time.time()-t,1),"s; slow cells",slow, "code cells",sum(c.cell_type=="code" for c in nb.cells))
for c in nb.cells:
    for o in c.get("outputs",[]):
        if o.output_type=="error": print("ERROR",c.id,o.ename,o.evalue[:300])
        if o.get("name")=="stderr": print("STDERR",c.id,o.text[:300])
