// The player of the generated angiogram: all frames are images of the page, one of them visible.
function f2vbenchShow(player, number) {
  const frames = player.querySelectorAll(".f2v-frames img");
  frames.forEach((frame, position) => { frame.hidden = position !== number - 1; });
  player.querySelector("input").value = number;
  player.querySelector("output").textContent = `${number} / ${frames.length}`;
}
function f2vbenchPlay(player, playing) {
  player.dataset.playing = playing ? "yes" : "no";
  player.querySelector("button").textContent = playing ? "Pause" : "Play";
}
function f2vbenchToggle(button) {
  const player = button.closest(".f2v-player");
  f2vbenchPlay(player, player.dataset.playing !== "yes");
}
function f2vbenchSeek(slider) {
  const player = slider.closest(".f2v-player");
  f2vbenchPlay(player, false);
  f2vbenchShow(player, Number(slider.value));
}
setInterval(() => {
  document.querySelectorAll('.f2v-player[data-playing="yes"]').forEach((player) => {
    const slider = player.querySelector("input");
    if (slider) f2vbenchShow(player, (Number(slider.value) % Number(slider.max)) + 1);
  });
}, 1000 / 3);
