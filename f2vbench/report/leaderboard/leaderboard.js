// Filters hide rows and empty boards; ranks and ties remain those among all models of a board.
{
  const form = document.querySelector("form.filters");
  const rows = [...document.querySelectorAll("tr[data-training]")];
  const sections = [...document.querySelectorAll("section[data-task]")];
  const count = document.querySelector(".count");
  const chosen = (name) => form.elements[name].value;
  const matches = (row, section) => {
    const task = chosen("task"), condition = chosen("condition"), training = chosen("training"), licence = chosen("licence");
    if (task && (row.dataset.task ?? section.dataset.task) !== task) return false;
    if (condition && (row.dataset.condition ?? section.dataset.condition) !== condition) return false;
    if (row.classList.contains("published")) return form.elements.published.checked && !training && !licence;
    if (training && !JSON.parse(row.dataset.training).includes(training)) return false;
    if (licence && row.dataset.licence !== licence) return false;
    if (row.dataset.baseline === "yes" && !form.elements.baselines.checked) return false;
    return row.dataset.pretrained !== "yes" || form.elements.pretrained.checked;
  };
  const apply = () => {
    for (const section of sections) {
      const own = [...section.querySelectorAll("tr[data-training]")];
      for (const row of own) row.hidden = !matches(row, section);
      section.hidden = own.every((row) => row.hidden);
    }
    const shown = rows.filter((row) => !row.hidden).length;
    count.textContent = `${shown} of ${rows.length} rows shown`;
  };
  form.hidden = false;
  form.addEventListener("change", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(apply));
  apply();
}
