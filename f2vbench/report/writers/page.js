"use strict";
// Buttons in the headings sort the tables; rows without a value stay at the end.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.querySelectorAll("thead tr:last-child th")];
  headings.forEach((heading, column) => {
    const button = heading.querySelector("button");
    button.addEventListener("click", () => {
      const falling = heading.getAttribute("aria-sort") === "ascending" ||
        (!heading.hasAttribute("aria-sort") && heading.classList.contains("num"));
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const body = table.tBodies[0];
      const rows = [...body.rows].map((row) => ({row, key: row.cells[column].dataset.value ?? ""}));
      const numeric = heading.classList.contains("num");
      rows.sort((a, b) => {
        if (a.key === "" || b.key === "") return (a.key === "") - (b.key === "");
        const order = numeric ? Number(a.key) - Number(b.key) : a.key.localeCompare(b.key, "en", {numeric: true});
        return falling ? -order : order;
      });
      body.append(...rows.map(({row}) => row));
    });
  });
}
