using System.Globalization;
using System.Text;

namespace SecureMessaging.Load;

/// <summary>Latency over load as SVG: one line a subject, the p99 of send to delivery on a logarithmic axis.</summary>
internal static class Plot
{
    private const int Width = 760;
    private const int Height = 420;
    private const int Left = 70;
    private const int Bottom = 50;
    private const int Top = 30;
    private const int Right = 20;
    private static readonly string[] Colours = ["#555555", "#0072b2", "#d55e00", "#009e73"];

    public static Task WriteAsync(string file, IReadOnlyList<Row> rows) => File.WriteAllTextAsync(file, Draw(rows));

    private static string Draw(IReadOnlyList<Row> rows)
    {
        var points = rows.Where(row => row is { MessagesPerSecond: > 0, P99Ms: > 0 }).ToList();
        var most = points.Select(row => row.MessagesPerSecond!.Value).DefaultIfEmpty(1).Max() * 1.05;
        var lowest = Math.Pow(10, Math.Floor(Math.Log10(points.Select(row => row.P99Ms!.Value).DefaultIfEmpty(1).Min())));
        var highest = Math.Pow(10, Math.Ceiling(Math.Log10(points.Select(row => row.P99Ms!.Value).DefaultIfEmpty(10).Max() * 1.01)));
        double X(double rate) => Left + (rate / most * (Width - Left - Right));
        double Y(double ms) => Height - Bottom - ((Math.Log10(ms) - Math.Log10(lowest))
            / Math.Max(1, Math.Log10(highest) - Math.Log10(lowest)) * (Height - Bottom - Top));
        var svg = new StringBuilder();
        svg.Append(CultureInfo.InvariantCulture, $"""
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {Width} {Height}" font-family="sans-serif" font-size="12">
            <rect width="{Width}" height="{Height}" fill="white"/>
            <text x="{Width / 2}" y="18" text-anchor="middle">p99 of send to delivery over load, rooms of 10, open loop</text>
            <text x="{Width / 2}" y="{Height - 10}" text-anchor="middle">messages per second</text>
            <text x="16" y="{Height / 2}" text-anchor="middle" transform="rotate(-90 16 {Height / 2})">p99, ms</text>

            """);
        for (var ms = lowest; ms <= highest * 1.001; ms *= 10)
        {
            svg.Append(CultureInfo.InvariantCulture, $"""
                <line x1="{Left}" x2="{Width - Right}" y1="{Y(ms):F1}" y2="{Y(ms):F1}" stroke="#dddddd"/>
                <text x="{Left - 6}" y="{Y(ms) + 4:F1}" text-anchor="end">{ms:0.###}</text>

                """);
        }

        for (var i = 0; i <= 5; i++)
        {
            svg.Append(CultureInfo.InvariantCulture, $"""
                <text x="{X(most * i / 5):F1}" y="{Height - Bottom + 18}" text-anchor="middle">{most * i / 5:N0}</text>

                """);
        }

        foreach (var (subject, i) in points.GroupBy(row => row.Subject).Select((group, i) => (group, i)))
        {
            var line = subject.OrderBy(row => row.MessagesPerSecond).Select(row => (X: X(row.MessagesPerSecond!.Value), Y: Y(row.P99Ms!.Value))).ToList();
            var colour = Colours[i % Colours.Length];
            var places = string.Join(' ', line.Select(point => string.Create(CultureInfo.InvariantCulture, $"{point.X:F1},{point.Y:F1}")));
            svg.Append(CultureInfo.InvariantCulture, $"""
                <polyline fill="none" stroke="{colour}" stroke-width="2" points="{places}"/>
                <text x="{Left + 10}" y="{Top + 16 + (i * 16)}" fill="{colour}">{subject.Key}</text>

                """);
            foreach (var point in line)
                svg.Append(CultureInfo.InvariantCulture, $"<circle cx=\"{point.X:F1}\" cy=\"{point.Y:F1}\" r=\"3\" fill=\"{colour}\"/>");
        }

        return svg.Append("\n</svg>\n").ToString();
    }
}
