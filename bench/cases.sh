#!/usr/bin/env bash
# Runs recorded cases (inputs that were once handled wrongly) and counts what is right.
#
#     bash bench/cases.sh CASES RUNS [PATTERN]
#
# CASES holds hostile/NAME (an input, or make.sh) and reports/NAME (generators). RUNS holds small runs
# and prepared data of the sample rows: data-nlp data-vis run-nlp run-nlp-tfl run-rec run-vis in.jsonl.
# A check runs in an empty folder, within three minutes. It fails where one of its lines fails, and on
# "this is a bug", a traceback or a draft left behind. `aitk` and `python` are those on the PATH.
set -u
CASES=$(realpath "$1") RUNS=$(realpath "$2") pattern=${3:-.}
total=0 right=0

prelude='
set -uE
wrong() { echo "WRONG: $*"; exit 9; }
exits() { local codes=$1 code=0; shift; "$@" || code=$?
          case " $codes " in *" $code "*) ;; *) wrong "exit code $code, not $codes: $*" >> "$LOG" ;; esac; }
rows() { python -c "import json, sys; sys.exit(json.load(open(sys.argv[1] + \"/dataset.json\"))[\"rows\"].get(sys.argv[2]) != int(sys.argv[3]))" "$@"; }
says() { grep -q "$@" "$LOG"; }
silent() { if grep -q "$@"; then wrong "found: $*"; fi; }
trap "wrong line failed: \$BASH_COMMAND" ERR
'

# check NAME: the script on stdin shows whether the case of this name is handled well
check() {
  local name=$1 script work why=
  script=$(cat)
  grep -q -- "$pattern" <<< "$name" || return 0
  work=$(mktemp -d)
  mkdir "$work/in_here"
  local make=:
  [ -f "$CASES/$name/make.sh" ] && make=". $CASES/$name/make.sh"
  (cd "$work/in_here" && CASE=$CASES/$name IN=$CASES/$name/in RUNS=$RUNS LOG=$work/log \
    timeout 180 bash -c "$make"$'\n'"$prelude"$'\n'"$script" < /dev/null > "$work/log" 2>&1)
  local code=$?
  if grep -qE 'this is a bug in aitk|^Traceback' "$work/log"; then
    why=$(grep -E 'this is a bug in aitk|^Traceback' "$work/log" | head -1)
  elif [ $code != 0 ]; then
    why="[$code] $(tail -n 2 "$work/log" | tr '\n' '|')"
  elif [ -n "$(find "$work/in_here" -name '*.part' -print -quit)" ]; then
    why="left behind: $(find "$work/in_here" -name '*.part' -printf '%f ')"
  fi
  total=$((total + 1))
  if [ -z "$why" ]; then right=$((right + 1)); echo "ok     $name"
  else echo "WRONG  $name  ${why:0:300}"; fi
  [ -n "${KEEP_LOGS:-}" ] && cp "$work/log" "$KEEP_LOGS/${name//\//-}.log"
  rm -rf "$work"
}

check hostile/01-savedmodel-run-writes-files <<'CASE'
cp -r $RUNS/run-nlp run
mkdir run/saved_model
touch run/saved_model/saved_model.pb
sed -i 's/"format": "keras"/"format": "saved_model"/' run/run.json
cp $RUNS/in.jsonl .
exits '2 4' aitk nlp predict run in.jsonl --out out.jsonl
says trust
CASE

check hostile/02-cwd-modules-run <<'CASE'
aitk doctor > /dev/null
test ! -e PWNED
cp -r $RUNS/run-nlp .
exits '0 7' aitk nlp compress run-nlp --format litert --out out
test ! -e PWNED
CASE

check hostile/03-report-reads-outside <<'CASE'
cp -r $RUNS/run-nlp run
python - <<'END'
import json, pathlib
p = pathlib.Path('run/metrics.json'); m = json.loads(p.read_text())
for v in m.values(): v['pictures'] = [{'caption': 'x', 'file': '/etc/hostname'}, {'caption': 'y', 'file': '../../../../../etc/hostname'}]
p.write_text(json.dumps(m))
END
exits '0 4' aitk nlp evaluate run --quiet
silent "$(base64 -w0 /etc/hostname)" run/report.html
CASE

check hostile/06-overwrite-deletes-foreign-folder <<'CASE'
exits '2' aitk nlp prepare in.csv --task classify --quiet --out photos --overwrite
test -f photos/precious.jpg
CASE

check hostile/07-overwrite-deletes-input-folder <<'CASE'
exits '2' aitk nlp prepare in --task classify --out in --overwrite --quiet
test -f in/pos/1.txt
CASE

check hostile/08-part-of-user-deleted <<'CASE'
exits '2' aitk nlp prepare in.csv --task classify --quiet --out out
test -f out.part/precious
rm -r out.part
CASE

check hostile/09-old-folder-blocks <<'CASE'
exits '2' aitk nlp prepare in.csv --task classify --quiet --out out --overwrite
test -f out.old/precious
test -f out/a
CASE

check hostile/10-out-dangling-link <<'CASE'
exits '2' aitk nlp prepare in.csv --task classify --quiet --out out
test -L out
CASE

check hostile/12-out-dot-root-empty <<'CASE'
for o in . / "" ..
do
  exits '2' aitk nlp prepare in.csv --task classify --quiet --out "$o"
done
CASE

check hostile/13-out-name-too-long <<'CASE'
exits '2' aitk nlp prepare in.csv --task classify --quiet --out $(printf 'o%.0s' $(seq 252))
exits '2' aitk nlp prepare in.csv --task classify --quiet --out $(printf 'o%.0s' $(seq 300))
CASE

check hostile/14-two-with-same-out <<'CASE'
for i in $(seq 60000)
do
  echo "word $i is here,$((i%2))" >> in.csv
done
(code=0; aitk nlp prepare in.csv --task classify --quiet --out out || code=$?; echo $code > first) &
sleep 1.2
(code=0; aitk nlp prepare in.csv --task classify --quiet --out out || code=$?; echo $code > second)
wait
cat first second
test "$(sort first second | tr '\n' ' ')" = '0 2 '
test -f out/dataset.json
CASE

check hostile/15-non-utf8-file-name <<'CASE'
exits '0' aitk nlp prepare $'caf\xe9.csv' --task classify --out out1 --quiet
exits '0 6' aitk nlp prepare in --task classify --out out2 --quiet
CASE

check hostile/16-manifest-path-too-long <<'CASE'
python -c "print('audio,label')
[print('x' * 5000 + ',a') for _ in range(3)]" > m.csv
exits '3 6' aitk speech prepare m.csv --task keywords --sample-rate-hz 8000 --out out --quiet
python -c "print('image,label')
[print('x' * 5000 + ',a') for _ in range(3)]" > t.csv
exits '3 6' aitk vision prepare t.csv --task classify --out outv --quiet
CASE

check hostile/17-json-int-too-large <<'CASE'
exits '6' aitk recsys prepare t.jsonl --task recommend --out out --quiet
CASE

check hostile/19-blank-lines-first <<'CASE'
exits '0 3 6' aitk recsys prepare in.txt --task recommend --out out --quiet
CASE

check hostile/20-parquet-values <<'CASE'
python - <<'END'
import pyarrow as pa, pyarrow.parquet as pq
n = 60; text = [f'word {i} is here' for i in range(n)]; label = [str(i % 2) for i in range(n)]
extra = {'ns': pa.array([1700000000123456789 + i for i in range(n)], pa.timestamp('ns')),
  'dur': pa.array(range(n), pa.duration('ns')),
  'date': pa.array([2**62] * n, pa.timestamp('us')),
  'utf8': pa.Array.from_buffers(pa.string(), n, [None, pa.array([0] + [1] * n, pa.int32()).buffers()[1], pa.py_buffer(b'\xff')])}
for name, column in extra.items():
  pq.write_table(pa.table({'text': text, 'label': label, 'when': column}), name + '.parquet')
END
exits '0' aitk nlp prepare ns.parquet --task classify --out o1 --quiet
for f in dur date utf8
do
  exits '0 3 6' aitk nlp prepare $f.parquet --task classify --out out-$f --quiet
done
CASE

check hostile/21-png-91-bytes-4GB <<'CASE'
ulimit -v 4000000
exits '6' aitk vision prepare $IN --task classify --out out --quiet
CASE

check hostile/22-yaml-alias-bomb <<'CASE'
exits '3' aitk vision prepare $IN --task detect --out out --quiet
CASE

check hostile/23-yaml-mixed-keys <<'CASE'
exits '3 0 6' aitk vision prepare $IN --task detect --out out --quiet
CASE

check hostile/25-rle-bigint <<'CASE'
python - <<'END'
import json
rle = {'size': [20, 20], 'counts': 'o' * 1_000_000}
import cv2, numpy
for i in range(6): cv2.imwrite(f'{i}.png', numpy.random.default_rng(i).integers(0, 255, (20, 20, 3), dtype='uint8'))
json.dump({'images': [{'id': i, 'file_name': f'{i}.png', 'width': 20, 'height': 20} for i in range(6)], 'categories': [{'id': 1, 'name': 'a'}], 'annotations': [{'id': i, 'image_id': i, 'category_id': 1, 'bbox': [1, 1, 5, 5], 'area': 25, 'iscrowd': 0, 'segmentation': rle} for i in range(6)]}, open('annotations.json', 'w'))
END
exits '3 6' timeout 20 aitk vision prepare . --task segment --out ../out --quiet
CASE

check hostile/26-coco-over-255-classes <<'CASE'
exits '3 6' aitk vision prepare $IN --task segment --out out --quiet
CASE

check hostile/29-idx-empty-pictures <<'CASE'
exits '3' aitk vision prepare $IN --task classify --out out --quiet
CASE

check hostile/30-long-label-quadratic <<'CASE'
exits '0 3 6' timeout 40 aitk vision prepare $IN/t.csv --task classify --out out --quiet
CASE

check hostile/31-kaldi-nan-times <<'CASE'
mkdir in
python - <<'END'
import numpy, soundfile
for u in range(12): soundfile.write(f'in/r{u}.wav', numpy.random.default_rng(u).normal(0, .1, 16000), 8000)
open('in/wav.scp', 'w').write(''.join(f'r{u} r{u}.wav\n' for u in range(12)))
open('in/segments', 'w').write(''.join(f'u{u} r{u} {"nan" if u == 3 else 0.1} {"inf" if u == 4 else 1.5}\n' for u in range(12)))
open('in/text', 'w').write(''.join(f'u{u} one two\n' for u in range(12)))
open('in/utt2spk', 'w').write(''.join(f'u{u} s{u % 4}\n' for u in range(12)))
END
exits '6' aitk speech prepare in --task asr --sample-rate-hz 8000 --out out --quiet
CASE

check hostile/33-config-inf <<'CASE'
for c in c.toml c.json deep.json
do
  exits '2' aitk nlp finetune $RUNS/data-nlp --config $c --out out --quiet
done
CASE

check hostile/34-run-json-odd <<'CASE'
cp $RUNS/in.jsonl .
for edit in "m['task']=3" "m.pop('data')" "m['data']='x'" "m['data']['folder']=5" "m['data']['folder']='y'*5000" "m['version']='9'" "m['format_version']='9'" "m['settings']=[1]" "m['model']=None"
do
  rm -rf run
cp -r $RUNS/run-nlp-tfl run
python -c "import json
p = 'run/run.json'
m = json.load(open(p))
$edit
json.dump(m, open(p, 'w'))"
exits '4 0' aitk nlp predict run in.jsonl --quiet > /dev/null
done
CASE

check hostile/35-labels-cut <<'CASE'
cp $RUNS/in.jsonl .
cp -r $RUNS/run-nlp-tfl run
python - <<'END'
import json, pathlib
for p in pathlib.Path('run/assets').glob('*.json'):
  m = json.loads(p.read_text())
  if isinstance(m, dict) and 'labels' in m: m['labels'] = m['labels'][:1]; p.write_text(json.dumps(m))
END
exits '4' aitk nlp predict run in.jsonl --out out.jsonl
CASE

check hostile/36-assets-damaged-exit-3 <<'CASE'
cp $RUNS/in.jsonl .
cp -r $RUNS/run-nlp-tfl run
for f in run/assets/*.json
do
  : > $f
done
exits '4' aitk nlp predict run in.jsonl --out out.jsonl
CASE

check hostile/38-streams-closed <<'CASE'
exits '0 2' aitk nlp prepare in.csv --task classify --quiet --out o1 >&-
exits '0 2 3' aitk nlp predict $RUNS/run-nlp-tfl - <&-
exits '0' aitk nlp predict $RUNS/run-nlp-tfl in.jsonl 2>&- > data
test $(grep -c '^{' data) = $(wc -l < data)
exits '0 2' aitk nlp predict $RUNS/run-nlp-tfl in.jsonl --json --out /dev/null --overwrite > /dev/full
CASE

check hostile/39-terminal-escapes <<'CASE'
exits '2 3' aitk nlp prepare $'no\e]0;owned\a.csv' --task classify --out out 2> said
silent $'\e' said
CASE

check hostile/40-part-symlink-clobbers <<'CASE'
cp $RUNS/in.jsonl .
echo precious > victim
ln -s victim out.jsonl.part
exits '2' aitk nlp predict $RUNS/run-nlp-tfl in.jsonl --out out.jsonl --quiet
grep -q precious victim
rm out.jsonl.part
CASE

check hostile/41-rec-assets-inconsistent <<'CASE'
cp -r $RUNS/run-rec run
echo '{"history": ["1"]}' > q.jsonl
exits '0 6' aitk recsys predict run q.jsonl > /dev/null
python - <<'END'
import pathlib, pyarrow.parquet as pq
for p in pathlib.Path('run/assets').rglob('items.parquet'):
  t = pq.read_table(p); pq.write_table(t.slice(0, len(t) // 2), p)
END
exits '4' aitk recsys predict run q.jsonl > /dev/null
CASE

check hostile/42-out-inside-input <<'CASE'
cd in
exits '0 2' aitk nlp prepare . --task classify --out data --quiet
cd ..
test ! -e in/data.part
CASE

check hostile/43-split-nan <<'CASE'
exits '2' aitk nlp prepare in.csv --task classify --split nan/nan/nan --out out
CASE

check hostile/44-encoding-utf16-without-mark <<'CASE'
exits '3 2' aitk nlp prepare in.csv --task classify --encoding utf-16 --out out --quiet
CASE

check hostile/45-draw-in-full-disk-and-tmp <<'CASE'
mkdir tmp
(ulimit -f 40
TMPDIR=$PWD/tmp exits '2 5' aitk nlp finetune $RUNS/data-nlp --epochs 1 --out out --quiet)
test -z "$(ls tmp)"
CASE

check hostile/47-infinity-in-jsonl <<'CASE'
exits '0 6' aitk nlp predict $RUNS/run-nlp-tfl in.jsonl --quiet > out
silent Infinity out
CASE

check hostile/48-stdout-ascii <<'CASE'
LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 exits '0' aitk nlp predict $RUNS/run-nlp-tfl in.jsonl --quiet > out
grep -q 灯 out
CASE

check hostile/49-prepared-shards-damaged <<'CASE'
cp -r $RUNS/data-vis data
for f in $(find data -name '*array_record*' -o -name '*tfrecord*')
do
  head -c 100 $f > x
cp x $f
done
exits '4' aitk vision finetune data --epochs 1 --image-size 32 --set filters=8 --out out --quiet
CASE

check hostile/51-draw-long-name <<'CASE'
exits '0 6' aitk vision predict $RUNS/run-vis $CASE/in.zip --draw drawn --out out.jsonl --quiet
CASE

check hostile/52-keras-config-bomb <<'CASE'
cp $RUNS/in.jsonl .
cp -r $RUNS/run-nlp run
python - <<'END'
import zipfile
old = zipfile.ZipFile('run/model.keras'); new = zipfile.ZipFile('m', 'w', zipfile.ZIP_DEFLATED)
for n in old.namelist():
  if n == 'config.json':
    with new.open(n, 'w', force_zip64=True) as f:
      for _ in range(1500): f.write(b' ' * 1_000_000)
  else: new.writestr(n, old.read(n))
new.close()
END
mv m run/model.keras
exits '4' timeout 40 aitk nlp predict run in.jsonl --out out.jsonl
CASE

check reports/01-coco-split-folders-same-names <<'CASE'
python $CASE/gen5.py > /dev/null
exits '0' aitk vision prepare col --task detect --json --out data > j
rows data train 16
rows data validation 5
rows data test 5
CASE

check reports/03-cvat-rle-iscrowd <<'CASE'
python $CASE/gen_vision.py > /dev/null
python $CASE/gen3.py > /dev/null
exits '0 6' aitk vision prepare v02big --task detect --out data
says -i crowd
CASE

check reports/04-unreadable-kinds-skipped-silently <<'CASE'
python $CASE/gen_vision.py > /dev/null
python $CASE/gen_sp.py > /dev/null
python $CASE/gen4.py > /dev/null
exits '0 6' aitk vision prepare tf2 --task detect --out data
python -c "import json, sys; sys.exit(sum(json.load(open('data/dataset.json'))['rows'].values()) != 12)"
exits '0 6' aitk vision prepare v10 --task classify --out data2
exits '0 6' aitk speech prepare s/s1 --task keywords --out data3
says -i 'm4a' || grep -q m4a data3/rejects.jsonl
CASE

check reports/06-percent-encoded-labels <<'CASE'
python $CASE/gen_vision.py > /dev/null
exits '0' aitk vision prepare v03 --task detect --out d
CASE

check reports/08-degenerate-polygon-loses-picture <<'CASE'
python $CASE/gen_vision.py > /dev/null
exits '0' aitk vision prepare v04b --task segment --out d
exits '0 6' aitk vision prepare v04 --task segment --out d1
exits '0 3 6' aitk vision prepare v06 --task segment --out d2
CASE

check reports/09-black-white-masks-no-hint <<'CASE'
python $CASE/gen_vision.py > /dev/null
exits '0 3' aitk vision prepare v12 --task segment --out d
says 'binary-masks'
CASE

check reports/10-excel-sep-line <<'CASE'
python $CASE/gen_nlp.py > /dev/null
exits '0' aitk nlp prepare n/n01.csv --task classify --out d
python -c "import json, sys; sys.exit('label' in json.load(open('d/dataset.json'))['summary']['labels'])"
CASE

check reports/12-invisible-label-characters <<'CASE'
python $CASE/gen_nlp.py > /dev/null
exits '0' aitk nlp prepare n/n13.csv --task classify --out d
test $(python -c "import json
print(len(json.load(open('d/dataset.json'))['summary']['labels']))") = 2
CASE

check reports/13-null-and-nan-as-ids <<'CASE'
python $CASE/gen_rec.py > /dev/null
exits '0 6' aitk recsys prepare k/nul2.csv --task recommend --out d
python -c "import json, sys; sys.exit(not json.load(open('d/dataset.json'))['refused'])"
grep -qi 'nan\|null\|no user\|no item' d/rejects.jsonl
CASE

check reports/15-comma-lists-of-flags <<'CASE'
python $CASE/gen_vision.py > /dev/null
python $CASE/gen_sp.py > /dev/null
python $CASE/gen_asr.py > /dev/null
exits '0 6' aitk speech prepare s/asr/t.csv --task asr --validation-speakers sp9 --test-speakers sp10,sp1 --json --out d > j
grep -q '"test"' j
exits '0 3 6' aitk vision prepare v01 --task detect --ignore nut,void --json --out d2 > j
python -c "import json, sys; sys.exit('nut' in json.load(open('d2/dataset.json'))['summary']['labels'])"
exits '2' aitk speech prepare s/asr/t.csv --task asr --test-speakers nobody --out d3
CASE

check reports/16-coco-results-not-loadable <<'CASE'
python $CASE/gen_vision.py > /dev/null
python $CASE/gen3.py > /dev/null
exits '0 6' aitk vision prepare v02ctl --task detect --out data
exits '0 6' aitk vision finetune data --epochs 1 --image-size 64x96 --set strides=4,8,16 --set width=16 --batch-size 4 --out run --quiet
exits '0' aitk vision predict run v02ctl/annotations.json --out boxes.json
python -c "from pycocotools.coco import COCO
COCO('v02ctl/annotations.json').loadRes('boxes.json')"
CASE

check reports/17-missing-annotation-formats <<'CASE'
python $CASE/gen_nlp.py > /dev/null
export PYTHONPATH=${PYTHONPATH:-}:$CASE/../04-unreadable-kinds-skipped-silently
python $CASE/gen4.py > /dev/null
for k in lm cx ls
do
  exits '0 3 6' aitk vision prepare $k --task detect --out d-$k
  test -f d-$k/dataset.json || says -i 'labelme\|cvat\|label studio'
done
exits '0 3 6' aitk nlp prepare n/n04.txt --task classify --out d
test -f d/dataset.json || says fastText
CASE

check reports/18-multi-label <<'CASE'
python $CASE/gen_nlp.py > /dev/null
exits '0 6' aitk nlp prepare n/n04b.csv --task classify --label-column tags --out d
says -i 'delimiter\|several labels\|multi'
CASE

check reports/19-decimal-comma-and-dates <<'CASE'
python $CASE/gen_rec.py > /dev/null
exits '0 6' aitk recsys prepare k/eu.csv --task rate --out d
exits '0 6' aitk recsys prepare k/t_eu_date.csv --task recommend --out d2
CASE

check reports/20-time-column-not-taken <<'CASE'
python $CASE/gen_rec.py > /dev/null
exits '0 6' aitk recsys prepare k/hm.csv --task recommend --items k/hm_items.csv --out d
says t_dat
CASE

check reports/22-negative-feedback <<'CASE'
python $CASE/gen_rec.py > /dev/null
exits '0 6' aitk recsys prepare k/neg.csv --task recommend --out d
says -i 'negative\|below 0\|less than 0'
CASE

check reports/23-16-bit-low-range <<'CASE'
python $CASE/gen_vision.py > /dev/null
exits '0 6' aitk vision prepare v10 --task classify --out d
says -- '--intensity' || silent 'of one colour' "$LOG"
CASE

check reports/24-stereo-call-and-noise <<'CASE'
aitk speech predict --help > said 2>&1
grep -q -- --channel said
CASE


echo "$right of $total cases are handled as expected"
[ "$right" = "$total" ]
