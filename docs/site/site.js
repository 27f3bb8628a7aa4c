// For the keyboard and for screen readers. The theme wraps tables, and sees to code in some browsers alone.
addEventListener("load", () => {
  for (const part of document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre")) part.tabIndex = 0;
  document.querySelectorAll(".md-nav--secondary nav").forEach((part, k) => { // landmarks need names of their own
    part.setAttribute("aria-label", `${part.getAttribute("aria-label")}, part ${k + 1}`);
  });
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
  for (const corner of document.querySelectorAll(".md-typeset th:empty")) corner.replaceWith(document.createElement("td"));
});
