// Runs before the first paint, so that a chosen theme or density never flashes. A file of its own because the
// content security policy forbids inline scripts. Keys and values are those of src/app/preferences.ts.
;(function () {
  try {
    var root = document.documentElement
    var theme = localStorage.getItem('wheelhouse.theme')
    var density = localStorage.getItem('wheelhouse.density')
    if (theme === 'light' || theme === 'dark') root.dataset.theme = theme
    if (density === 'comfortable' || density === 'compact') root.dataset.density = density
  } catch {
    // Storage is blocked: the system theme and the comfortable density hold.
  }
})()
