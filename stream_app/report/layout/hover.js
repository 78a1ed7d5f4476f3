// Shows the figures of a mark next to the pointer. Without scripts, the tables below the charts contain them.
(() => {
  const tip = document.getElementById("tip");
  let on = null;
  const hide = () => { tip.hidden = true; on?.classList.remove("on"); on = null; };
  const show = (event) => {
    const mark = event.target.closest?.("[data-tip]");
    if (!mark) return hide();
    if (mark !== on) {
      hide();
      on = mark;
      mark.classList.add("on");
      tip.replaceChildren(...mark.dataset.tip.split("¦").map((line) => {
        const row = document.createElement("div");
        row.textContent = line;
        return row;
      }));
      tip.hidden = false;
    }
    const { clientWidth: wide } = document.documentElement;
    const left = Math.min(event.clientX + 14, wide - tip.offsetWidth - 8);
    const above = event.clientY - tip.offsetHeight - 14;
    tip.style.left = `${Math.max(8, left) + scrollX}px`;
    tip.style.top = `${(above > 0 ? above : event.clientY + 20) + scrollY}px`;
  };
  document.addEventListener("pointermove", show);
  document.addEventListener("pointerdown", show);
  document.addEventListener("scroll", hide, { passive: true });
})();
