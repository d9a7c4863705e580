"use strict";
// Draws the receptive field on the reader's own image: the image goes to the service, the picture comes back.
const overlay = document.getElementById("overlay");
const shownPicture = document.getElementById("overlay-picture");
const overlayStatus = document.getElementById("overlay-status");
overlay.addEventListener("submit", (event) => event.preventDefault());
overlay.elements.image.addEventListener("change", async () => {
  const image = overlay.elements.image.files[0];
  if (!image) return;
  overlayStatus.textContent = "drawing …";
  const address = `${overlay.dataset.address}?layer=${overlay.dataset.layer}`;
  const answer = await fetch(address, { method: "POST", body: image });
  if (!answer.ok) {
    overlayStatus.textContent = (await answer.json()).detail;
    return;
  }
  URL.revokeObjectURL(shownPicture.src);
  shownPicture.src = URL.createObjectURL(await answer.blob());
  overlayStatus.textContent = "drawn on your image";
});
