"use strict";
// A second click would take the place of the first, whose answer is on its way, and find the form used up.
addEventListener("submit", (event) => {
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
