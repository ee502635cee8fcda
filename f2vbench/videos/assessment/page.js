"use strict";
// The page of one rater: shows video pairs, stores the answers in this browser, and exports them as CSV.
const find = (selector) => document.querySelector(selector);
const data = JSON.parse(find("#data").textContent);
const STORE = `f2vbench-assessment:${data.assessment}:${data.rater}`;
const SPEEDS = [1, 2, 3, 4, 6, 8, 12];
const PANELS = ["photograph", "a", "b"];
const narrow = matchMedia("(max-width: 44rem)");

let answers = {}; // video → {values: {question: value}, comment, rated}
let current = 0;
let enlarged = data.view === "one-at-a-time" ? "a" : null;
let frame = 0;
let timer = null;
let shown = null; // decoded images of the current pair
let storable = true;
let exported = true;

// Answers in the browser's storage

function readStore() {
  try {
    const stored = JSON.parse(localStorage.getItem(STORE) ?? "null");
    if (stored === null) return null;
    const known = new Map(data.questions.map((question) => [question.name, question.options.map((option) => option.value)]));
    const kept = {};
    for (const {video} of data.items) {
      const answer = stored.answers?.[video];
      if (!answer) continue;
      const values = Object.entries(answer.values ?? {}).filter(([name, value]) => known.get(name)?.includes(value));
      kept[video] = {values: Object.fromEntries(values), comment: String(answer.comment ?? ""), rated: String(answer.rated ?? "")};
    }
    const position = Number.isInteger(stored.position) ? stored.position : 0;
    return {answers: kept, position: Math.min(Math.max(position, 0), data.items.length - 1)};
  } catch (error) {
    storable = false;
    return null;
  }
}

function save() {
  try {
    const text = JSON.stringify({answers, position: current});
    localStorage.setItem(STORE, text);
    storable = localStorage.getItem(STORE) === text;
  } catch (error) {
    storable = false;
  }
  showStorage();
}

function showStorage() {
  find("#warning").hidden = storable;
  find("#saved").textContent = storable && Object.keys(answers).length
    ? `Saved in this browser at ${new Date().toLocaleTimeString([], {hour: "2-digit", minute: "2-digit"})}` : "";
  if (!storable) {
    find("#warning").textContent =
      "This browser does not let the page save answers (private window, or full storage). They are lost when the page is closed or reloaded: export the CSV before, or use another browser.";
  }
}

// Answers

const answer = () => (answers[data.items[current].video] ??= {values: {}, comment: "", rated: ""});
const missing = (item) => data.questions.filter((question) => !answers[item.video]?.values[question.name]);
const isRated = (item) => missing(item).length === 0;

function setValue(name, value) {
  answer().values[name] = value;
  changed();
  showAnswers();
}

function changed() {
  answer().rated = new Date().toISOString();
  exported = false;
  save();
  showProgress();
}

function showAnswers() {
  const values = answers[data.items[current].video]?.values ?? {};
  for (const {name} of data.questions) {
    const field = find(`fieldset[data-question="${name}"]`);
    field.classList.toggle("answered", name in values);
    for (const input of field.querySelectorAll("input")) input.checked = input.value === values[name];
  }
  markActive();
}

function activeQuestion() {
  const focused = document.activeElement?.closest("fieldset")?.dataset.question;
  return focused ?? missing(data.items[current])[0]?.name ?? data.questions.at(-1).name;
}

function markActive() {
  const active = activeQuestion();
  for (const field of document.querySelectorAll("fieldset")) field.classList.toggle("active", field.dataset.question === active);
}

function answerActive(place) {
  const name = activeQuestion();
  const position = data.questions.findIndex((question) => question.name === name);
  const option = data.questions[position].options[place];
  if (!option) return;
  setValue(name, option.value);
  const following = data.questions[position + 1];
  if (following) {
    const field = find(`fieldset[data-question="${following.name}"]`);
    (field.querySelector("input:checked") ?? field.querySelector("input")).focus({preventScroll: true});
  } else {
    find("#next").focus({preventScroll: true});
  }
  markActive();
}

function showProgress() {
  const rated = data.items.filter(isRated).length;
  find("#progress-text").textContent = `${rated} of ${data.items.length} pairs rated`;
  find("#progress-bar").style.width = `${(100 * rated) / data.items.length}%`;
  data.items.forEach((item, place) => {
    find("#jump").options[place].textContent = `${place + 1}${isRated(item) ? " ✓" : ""}`;
  });
  if (rated === data.items.length && !exported) find("#saved").textContent += ". All are rated: export the CSV and return the file.";
}

// Videos

const nameOf = (side) => {
  const {generated} = data.items[current];
  if (!generated) return `Video ${side.toUpperCase()}`;
  return generated.toLowerCase() === side ? "Generated video" : "Acquired video";
};

async function decode(name) {
  const image = new Image();
  image.src = `data:image/webp;base64,${document.getElementById(name).textContent}`;
  await image.decode();
  return image;
}

async function showPair(place) {
  pause();
  current = place;
  frame = 0;
  shown = null;
  if (data.view === "one-at-a-time") enlarged = "a";
  const item = data.items[place];
  find("#pair-title").textContent = `Pair ${place + 1} of ${data.items.length}`;
  find("#jump").value = String(place);
  find("#previous").disabled = place === 0;
  find("#next").disabled = place === data.items.length - 1;
  find("#time").max = String(item.a.length);
  find("#player").hidden = item.a.length === 1;
  find("#comment").value = answers[item.video]?.comment ?? "";
  for (const element of document.querySelectorAll("[data-name]")) element.textContent = nameOf(element.dataset.name);
  save();
  showPanels();
  showAnswers();
  const [photograph, a, b] = await Promise.all([
    decode(item.photograph), Promise.all(item.a.map(decode)), Promise.all(item.b.map(decode)),
  ]);
  if (current !== place) return;
  shown = {photograph, a, b};
  draw("photograph", photograph);
  showFrame(0);
}

function draw(panel, image) {
  const canvas = find(`[data-panel="${panel}"] canvas`);
  if (canvas.width !== image.naturalWidth || canvas.height !== image.naturalHeight) {
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
  }
  canvas.getContext("2d").drawImage(image, 0, 0);
}

function showFrame(number) {
  if (!shown) return;
  const {phases} = data.items[current];
  frame = (number + phases.length) % phases.length;
  for (const side of ["a", "b"]) {
    draw(side, shown[side][frame]);
    find(`[data-panel="${side}"] canvas`).setAttribute("aria-label", `${nameOf(side)}, frame ${frame + 1} of ${phases.length}, ${phases[frame]} phase`);
  }
  find("#time").value = String(frame + 1);
  const text = `Frame ${frame + 1} of ${phases.length}, ${phases[frame]} phase`;
  find("#time").setAttribute("aria-valuetext", text);
  find("#frame").textContent = text;
}

function showPanels() {
  const single = narrow.matches && !enlarged ? "a" : enlarged;
  find("#panels").classList.toggle("single", single !== null);
  for (const panel of PANELS) {
    find(`[data-panel="${panel}"]`).classList.toggle("absent", single !== null && single !== panel);
    find(`[data-show="${panel}"]`).setAttribute("aria-pressed", String(single === panel));
  }
}

function enlarge(panel) {
  const mustBeSingle = data.view === "one-at-a-time" || narrow.matches;
  enlarged = enlarged === panel && !mustBeSingle ? null : panel;
  showPanels();
}

function play() {
  pause();
  timer = setInterval(() => showFrame(frame + 1), 1000 / Number(find("#speed").value));
  find("#play").firstChild.textContent = "Pause ";
}

function pause() {
  clearInterval(timer);
  timer = null;
  find("#play").firstChild.textContent = "Play ";
}

const togglePlay = () => (timer === null ? play() : pause());

function step(by) {
  pause();
  showFrame(frame + by);
}

function go(by) {
  const place = current + by;
  if (place < 0 || place >= data.items.length) return;
  showPair(place);
  find("#pair-title").focus({preventScroll: true}); // at once: a focus after decoding would interrupt fast raters
}

// Export

function cell(text) {
  const safe = /^[=+\-@\t]/.test(text) ? `'${text}` : text; // spreadsheets would run it as a formula
  return /[",;\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function csv() {
  const names = data.questions.map((question) => question.name);
  const rows = [["assessment", "rater", "position", "video", ...names, "comment", "rated"]];
  data.items.forEach((item, place) => {
    const given = answers[item.video] ?? {values: {}, comment: "", rated: ""};
    const values = names.map((name) => given.values[name] ?? "");
    rows.push([data.assessment, data.rater, String(place + 1), item.video, ...values, given.comment.replace(/\s+/g, " ").trim(), given.rated]);
  });
  return `\ufeff${rows.map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
}

function exportFile() {
  const link = document.createElement("a");
  const file = URL.createObjectURL(new Blob([csv()], {type: "text/csv"}));
  link.href = file;
  link.download = `ratings-${data.assessment}-${data.rater}.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(file), 10000);
  exported = true;
  const open = data.items.flatMap((item, place) => (isRated(item) ? [] : [place + 1]));
  find("#saved").textContent = open.length
    ? `Exported ${link.download}. Answers are missing for ${open.length} of ${data.items.length}: ${open.slice(0, 12).join(", ")}${open.length > 12 ? " …" : ""}`
    : `Exported ${link.download}, complete`;
}

// Controls

function keyPressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || find("#instructions").open) return;
  if (event.target.closest("textarea, select")) return;
  const key = event.key.toLowerCase();
  const onControl = event.target.closest("button, input") !== null;
  const actions = {
    k: togglePlay, ",": () => step(-1), ".": () => step(1), n: () => go(1), p: () => go(-1),
    f: () => enlarge("photograph"), a: () => enlarge("a"), b: () => enlarge("b"), "?": () => find("#instructions").showModal(),
  };
  if (/^[1-9]$/.test(key)) answerActive(Number(key) - 1);
  else if (key === " " && !onControl) togglePlay();
  else if (key === "enter" && !onControl && isRated(data.items[current])) go(1);
  else if (actions[key]) actions[key]();
  else return;
  event.preventDefault();
}

function start() {
  for (let place = 0; place < data.items.length; place++) find("#jump").add(new Option(String(place + 1), String(place)));
  for (const speed of [...new Set([...SPEEDS, data.fps])].sort((a, b) => a - b)) {
    find("#speed").add(new Option(`${speed} frames/s`, String(speed), speed === data.fps, speed === data.fps));
  }
  const stored = readStore();
  if (stored) ({answers, position: current} = stored);
  for (const input of document.querySelectorAll("fieldset input")) {
    input.addEventListener("change", () => setValue(input.name, input.value));
  }
  find("#comment").addEventListener("input", (event) => { answer().comment = event.target.value; changed(); });
  find("#form").addEventListener("submit", (event) => event.preventDefault());
  find("#play").addEventListener("click", togglePlay);
  find("#back").addEventListener("click", () => step(-1));
  find("#forward").addEventListener("click", () => step(1));
  find("#time").addEventListener("input", (event) => { pause(); showFrame(Number(event.target.value) - 1); });
  find("#speed").addEventListener("change", () => { if (timer !== null) play(); });
  find("#previous").addEventListener("click", () => go(-1));
  find("#next").addEventListener("click", () => go(1));
  find("#jump").addEventListener("change", (event) => showPair(Number(event.target.value)));
  find("#export").addEventListener("click", exportFile);
  find("#help").addEventListener("click", () => find("#instructions").showModal());
  for (const button of document.querySelectorAll("[data-show]")) button.addEventListener("click", () => enlarge(button.dataset.show));
  narrow.addEventListener("change", showPanels);
  document.addEventListener("keydown", keyPressed);
  document.addEventListener("focusin", markActive);
  window.addEventListener("beforeunload", (event) => { if (!storable && !exported) event.preventDefault(); });
  window.addEventListener("storage", (event) => { // the same page in another tab
    if (event.key !== STORE) return;
    const other = readStore();
    if (other) answers = other.answers;
    showAnswers();
    showProgress();
  });
  showPair(current);
  showProgress();
  if (!stored) find("#instructions").showModal();
}

start();
