"use strict";
// Draws the receptive field of the chosen layer, on the reader's own image where there is one: it goes to the service, the picture comes back.
const overlay = document.getElementById("overlay");
const shownPicture = document.getElementById("overlay-picture");
const overlayStatus = document.getElementById("overlay-status");
overlay.addEventListener("submit", (event) => event.preventDefault());
overlay.addEventListener("change", async () => {
  const image = overlay.elements.image.files[0];
  const address = `${overlay.dataset.address}?layer=${overlay.elements.layer.value}`;
  URL.revokeObjectURL(shownPicture.src);
  if (!image) {
    shownPicture.src = address;
    return;
  }
  overlayStatus.textContent = "drawing …";
  const answer = await fetch(address, { method: "POST", body: image });
  if (!answer.ok) {
    overlayStatus.textContent = (await answer.json()).detail;
    return;
  }
  shownPicture.src = URL.createObjectURL(await answer.blob());
  overlayStatus.textContent = "drawn on your image";
});
