import sys,nbformat,re,base64,io
from PIL import Image
name=sys.argv[1]; nb=nbformat.read(name,4); ims=[]
for c in nb.cells:
    for o in c.get("outputs",[]):
        if "text" in o and o.get("name")=="stdout": print(c.id, o.text.rstrip()[:1500])
        h=o.get("data",{}).get("text/html","")
        for m in re.findall(r'base64,([^"]+)"',h if isinstance(h,str) else "".join(h)):
            ims.append((c.id,Image.open(io.BytesIO(base64.b64decode(m))).convert("RGB")))
# pack into columns
W=1900; x=y=row=0; sheet=Image.new("RGB",(W,12000),"white")
for cid,im in ims:
    if im.width>W: im=im.resize((W,im.height*W//im.width))
    if x+im.width>W: x=0; y+=row+10; row=0
    sheet.paste(im,(x,y)); x+=im.width+10; row=max(row,im.height)
sheet.crop((0,0,W,y+row)).save(sys.argv[2]); print(len(ims),y+row)
