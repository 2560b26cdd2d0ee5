cd /work/exp/pkg3; export PATH=/work/venv/bin:$PATH
while pgrep -f "train --from picturebook" >/dev/null; do sleep 2; done
date
python -m miniclip shrink /work/exp/pb3.safetensors /work/exp/picturebook3.safetensors --before picturebook
for s in 1000000 1000777; do python -m miniclip evaluate /work/exp/picturebook3.safetensors --nouns all --seed $s --json > /work/exp/pb3-$s.json 2>>/work/exp/chain.err; done
date
python -m miniclip study robustness --precision bf16 --models /work/exp/models --out /work/exp/robustness.json > /work/exp/robustness.log 2>&1; date
python -m miniclip study repair --precision bf16 --models /work/exp/models --out /work/exp/repair.json > /work/exp/repair.log 2>&1; date
python -m miniclip study "figure 2" --precision bf16 --out /work/exp/figure-2.json > /work/exp/figure2.log 2>&1; date
