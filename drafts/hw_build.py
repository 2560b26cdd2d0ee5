import sys, nbformat, time
from pathlib import Path
from nbformat.v4 import new_notebook, new_code_cell, new_markdown_cell
from nbclient import NotebookClient
def build(path):
    cells=[]
    for number, block in enumerate(Path(path).read_text().split("\n%%% ")[0:]):
        block=block.removeprefix("%%% ")
        head,_,body=block.partition("\n"); kind,*rest=head.split(); body=body.strip("\n")
        marks=None
        if kind=="solve": marks=dict(grade=False,solution=True,locked=False,grade_id=rest[0])
        if kind=="grade": marks=dict(grade=True,solution=False,locked=True,grade_id=rest[0],points=int(rest[1]))
        if kind=="written": marks=dict(grade=True,solution=True,locked=False,grade_id=rest[0],points=int(rest[1]))
        make=new_markdown_cell if kind in("md","written") else new_code_cell
        cell=make(body); cell["id"]=f"cell-{number:02d}"
        if marks: cell.metadata["nbgrader"]={**marks,"schema_version":3,"task":False}
        assert kind in("md","written","code","solve","grade"),kind
        if cell.cell_type=="code":
            assert len(body.splitlines())<=26,body; assert max(map(len,body.splitlines()))<=120,body
        cells.append(cell)
    return new_notebook(cells=cells,metadata={"kernelspec":{"display_name":"Python 3","language":"python","name":"python3"},"language_info":{"name":"python","version":"3.11.7"}})
for name in sys.argv[1:]:
    nb=build(f"/tmp/hw/{name}.txt"); t=time.time()
    out=Path(f"/work/main/notebooks/homework/solutions/{name}.ipynb")
    try: NotebookClient(nb,timeout=400,resources={"metadata":{"path":str(out.parent)}}).execute()
    finally:
        for c in nb.cells: c.metadata.pop("execution",None)
        nbformat.write(nb,out)
    print(name,round(time.time()-t,1),"s, points",sum(c.metadata.get("nbgrader",{}).get("points",0) for c in nb.cells))
    for c in nb.cells:
        for o in c.get("outputs",[]):
            if o.output_type=="stream": print(o.text.rstrip()[:1500])
            elif "text/plain" in o.get("data",{}): print("   >", o.data["text/plain"][:200])
